// The Motoko compiler with one canister folder loaded into its virtual file system. Used by build.js and test.js.
"use strict";

const fs = require("fs");
const path = require("path");

const CHECKOUT = path.resolve(__dirname, "..");

/** An error to be shown to people as it is, without a stack. */
class Complaint extends Error {}

/** The folder with npm's `motoko`: named by the caller, in NODE_PATH, or in the checkout's cache. */
function nodeModules(named) {
  const paths = named ? [named] : (process.env.NODE_PATH || "").split(path.delimiter).filter(Boolean);
  const folders = paths.length ? paths : [path.join(CHECKOUT, ".cache/npm/node_modules")];
  const found = folders.find((folder) => fs.existsSync(path.join(folder, "motoko/package.json")));
  if (!found) {
    throw new Complaint(
      `no motoko in ${folders.join(", ")}: install it with "make nodes", or with "npm ci --ignore-scripts" from the ` +
        "package-lock.json in swapd/devnet/npm, and name its folder by --node-modules or NODE_PATH",
    );
  }
  return fs.realpathSync(found); // as `require.cache` names its files, which `load` relies on
}

/** Paths of all .mo files below a folder, relative to it and sorted, so that every machine loads them in one order. */
function sources(folder) {
  const found = fs.readdirSync(folder, { recursive: true }).map((name) => name.split(path.sep).join("/"));
  return found.filter((name) => name.endsWith(".mo")).sort();
}

/**
 * A compiler that knows `folder` and mo:core, and has compiled nothing yet.
 *
 * The compiler numbers its fresh names through one process, and they are seen in the Wasm: so each canister gets a new
 * copy of it, and its bytes do not depend on what was compiled before.
 */
function load(folder, modules) {
  const package_ = path.join(modules, "motoko");
  for (const file of Object.keys(require.cache)) if (file.startsWith(package_)) delete require.cache[file];
  const motoko = require(package_);
  motoko.loadPackage(JSON.parse(fs.readFileSync(path.join(package_, "packages/latest/core.json"), "utf8")));
  for (const name of sources(folder)) motoko.write(name, fs.readFileSync(path.join(folder, name), "utf8"));
  return motoko;
}

/** What the compiler has to say, errors and warnings alike, as lines `file:line:column: kind [code], message`. */
function complaints(diagnostics, folder) {
  return diagnostics.map(({ source, range, severity, code, message }) => {
    const place = source ? `${path.join(folder, source)}:${range.start.line + 1}:${range.start.character + 1}: ` : "";
    return `${place}${severity === 1 ? "error" : "warning"} [${code}], ${message}`;
  });
}

/** Calls the compiler, whose own exceptions are OCaml values or texts of any length. */
function ask(question) {
  try {
    return question();
  } catch (error) {
    if (error instanceof Complaint) throw error;
    throw new Complaint(`the compiler failed: ${String((error && error.message) || error).slice(0, 2000)}`);
  }
}

/** Runs `main`, and shows what goes wrong as one text on standard error and exit code 1. */
function run(program, main) {
  try {
    main();
  } catch (error) {
    process.stderr.write(`${program}: ${error instanceof Complaint ? error.message : error.stack}\n`);
    process.exitCode = 1;
  }
}

module.exports = { CHECKOUT, Complaint, ask, complaints, load, nodeModules, run, sources };
