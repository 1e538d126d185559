// Runs the unit tests (*.test.mo) of canister folders in the compiler's interpreter.
//
//   node test.js FOLDER... [--only TEXT]    exit 1 if one fails; --only runs those whose path contains TEXT
//
// A test is a Motoko program of top-level statements; it fails if an `assert` does, if it traps, or if the compiler has
// an error or a warning. `Time.now()` stands still in the interpreter: what depends on time is tested on a replica.
"use strict";

const path = require("path");
const { parseArgs } = require("util");
const { Complaint, ask, complaints, load, nodeModules, run, sources } = require("./compiler.js");

/** What is wrong with one test; "" if nothing. */
function failure(motoko, folder, name) {
  const diagnostics = ask(() => motoko.check(name));
  if (diagnostics.length) return complaints(diagnostics, folder).join("\n");
  const { stdout, stderr, result } = ask(() => motoko.run(name));
  if (!result || !result.error) return "";
  const [message] = stderr.trim().split("\n\nLast environment:"); // after an inner error, every variable there is
  return stdout + path.join(folder, message || `${name}: failed silently`);
}

function main() {
  const { values: given, positionals } = parseArgs({
    allowPositionals: true,
    options: { only: { type: "string", default: "" }, "node-modules": { type: "string" } },
  });
  if (!positionals.length) throw new Complaint("name at least one folder");
  const modules = nodeModules(given["node-modules"]);
  let failed = 0;
  let all = 0;
  for (const folder of positionals) {
    const motoko = load(folder, modules);
    const tests = sources(folder).filter((name) => name.endsWith(".test.mo"));
    for (const name of tests.filter((name) => path.join(folder, name).includes(given.only))) {
      const complaint = failure(motoko, folder, name);
      all += 1;
      failed += complaint ? 1 : 0;
      process.stdout.write(`${complaint ? "FAIL" : "ok  "} ${path.join(folder, name)}\n`);
      if (complaint) process.stderr.write(`${complaint}\n`);
    }
  }
  if (!all) throw new Complaint(`no *.test.mo in ${positionals.join(", ")}`);
  if (failed) throw new Complaint(`${failed} of ${all} failed`);
}

run("test.js", main);
