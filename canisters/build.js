// Compiles canister folders (Main.mo and its modules), the same bytes on every machine.
//
//   node build.js [FOLDER...]              compile, and print the SHA-256 of each Wasm module
//   node build.js [FOLDER...] --to DIR     and write DIR/<name>.wasm, .did and .most (its stable signature)
//   node build.js FOLDER --output FILE     and write the Wasm module alone
//   node build.js [FOLDER...] --check      exit 1 if a committed <name>.did or wasm.sha256 is not the compiler's, or
//                                          if an upgrade from deployed.most would lose state
//   node build.js [FOLDER...] --update     write <name>.did and wasm.sha256
//   node build.js [FOLDER...] --deployed   write deployed.most: to be done when this version has been deployed
//
// Without a folder all canisters of the checkout are meant. A warning is an error. The compiler comes from npm (motoko,
// its version pinned in swapd/devnet/npm), from --node-modules DIR, NODE_PATH, or .cache/npm/node_modules.
"use strict";

const { createHash } = require("crypto");
const fs = require("fs");
const path = require("path");
const { parseArgs } = require("util");
const { CHECKOUT, Complaint, ask, complaints, load, nodeModules, run } = require("./compiler.js");

const ROOMS = ["canisters", "tests/canisters"];
const PUBLIC = ["candid:service", "candid:args"]; // anybody may ask a canister for its interface

function everyCanister() {
  const folders = ROOMS.map((room) => path.join(CHECKOUT, room))
    .filter((room) => fs.existsSync(room))
    .flatMap((room) => fs.readdirSync(room).sort().map((name) => path.join(room, name)));
  return folders.filter((folder) => fs.existsSync(path.join(folder, "Main.mo")));
}

/** {name, folder, wasm, did, most, hash} of the canister in a folder. */
function compile(folder, modules) {
  if (!fs.existsSync(path.join(folder, "Main.mo"))) throw new Complaint(`no Main.mo in ${folder}`);
  const motoko = load(folder, modules);
  motoko.setPublicMetadata(PUBLIC);
  const { code, diagnostics } = ask(() => motoko.compiler.compileWasm("ic", "Main.mo"));
  if (diagnostics.length) throw new Complaint(complaints(diagnostics, folder).join("\n"));
  const { wasm, candid, stable } = code;
  const hash = createHash("sha256").update(wasm).digest("hex");
  return { name: path.basename(folder), folder, wasm, did: `${candid.trimEnd()}\n`, most: stable, hash };
}

/** Whether state of a canister with the stable signature `old` outlives an upgrade to `built`; else says what not. */
function upgradeComplaints(old, built, modules) {
  const motoko = load(built.folder, modules);
  motoko.write("deployed.most", old);
  motoko.write("built.most", built.most);
  const { diagnostics } = ask(() => motoko.compiler.stableCompatible("deployed.most", "built.most"));
  return complaints(diagnostics, built.folder).map(
    (complaint) => `${path.join(built.folder, "deployed.most")}: an upgrade from it would fail: ${complaint}`,
  );
}

/** The committed files that describe a canister, and what they should say. */
function committed({ name, folder, did, hash }) {
  return [
    [path.join(folder, `${name}.did`), did],
    [path.join(folder, "wasm.sha256"), `${hash}  ${name}.wasm\n`],
  ];
}

function check(built, modules) {
  const stale = committed(built).filter(([file, right]) => !fs.existsSync(file) || read(file) !== right);
  const found = stale.map(
    ([file]) => `${file} is not what Main.mo compiles to: run build.js --update and commit the result`,
  );
  const deployed = path.join(built.folder, "deployed.most");
  if (fs.existsSync(deployed)) found.push(...upgradeComplaints(read(deployed), built, modules));
  return found;
}

const read = (file) => fs.readFileSync(file, "utf8");

function write(folder, { name, wasm, did, most }) {
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, `${name}.wasm`), wasm);
  fs.writeFileSync(path.join(folder, `${name}.did`), did);
  fs.writeFileSync(path.join(folder, `${name}.most`), most);
}

function main() {
  const { values: given, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      to: { type: "string" },
      output: { type: "string" },
      check: { type: "boolean" },
      update: { type: "boolean" },
      deployed: { type: "boolean" },
      "node-modules": { type: "string" },
    },
  });
  const modules = nodeModules(given["node-modules"]);
  const folders = positionals.length ? positionals.map((folder) => path.resolve(folder)) : everyCanister();
  if (given.output && folders.length !== 1) throw new Complaint("--output is for one canister: name its folder");
  const wrong = [];
  for (const folder of folders) {
    const built = compile(folder, modules);
    process.stdout.write(`${built.hash}  ${built.name}.wasm\n`);
    if (given.to) write(given.to, built);
    if (given.output) fs.writeFileSync(given.output, built.wasm);
    if (given.update) for (const [file, right] of committed(built)) fs.writeFileSync(file, right);
    if (given.deployed) fs.writeFileSync(path.join(folder, "deployed.most"), built.most);
    if (given.check) wrong.push(...check(built, modules));
  }
  if (wrong.length) throw new Complaint(wrong.join("\n"));
}

run("build.js", main);
