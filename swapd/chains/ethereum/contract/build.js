// Compiles Htlc.sol into Htlc.json, the same bytes on every machine.
//
//   node build.js            write Htlc.json
//   node build.js --check    exit 1 if Htlc.json is not what Htlc.sol compiles to
//   node build.js --print F  compile the files F... and print {contract: {abi, bytecode}} (for tests and benches)
//
// The compiler comes from npm (solc, its version pinned in swapd/devnet/npm). Its folder is looked for in
// --node-modules DIR, then NODE_PATH, then .cache/npm/node_modules of the checkout.
"use strict";

const { createHash } = require("crypto");
const fs = require("fs");
const path = require("path");

const SOURCE = path.join(__dirname, "Htlc.sol");
const ARTIFACT = path.join(__dirname, "Htlc.json");
const CHECKOUT = path.resolve(__dirname, "../../../..");

const SETTINGS = {
  evmVersion: "prague", // what every chain we name runs; transient storage needs cancun
  viaIR: true, // cheaper than the older pipeline on every row of bench/gas.py
  optimizer: { enabled: true, runs: 1000000 }, // deployed once, called for years
  metadata: { bytecodeHash: "none" }, // else a changed comment changes the bytecode
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
};

function fail(message) {
  process.stderr.write(`build.js: ${message}\n`);
  process.exit(1);
}

/** The words after an option, up to the next option; undefined if it was not given. */
function given(option) {
  const words = process.argv.slice(2);
  const at = words.indexOf(option);
  if (at < 0) return undefined;
  const rest = words.slice(at + 1);
  const end = rest.findIndex((word) => word.startsWith("--"));
  return end < 0 ? rest : rest.slice(0, end);
}

function nodeModules() {
  const named = given("--node-modules") || (process.env.NODE_PATH || "").split(path.delimiter).filter(Boolean);
  const folders = named.length ? named : [path.join(CHECKOUT, ".cache/npm/node_modules")];
  const found = folders.find((folder) => fs.existsSync(path.join(folder, "solc/package.json")));
  if (!found) {
    fail(
      `no solc in ${folders.join(", ")}: install it with "npm ci --ignore-scripts" from the package-lock.json in ` +
        "swapd/devnet/npm, and name its folder by --node-modules or NODE_PATH",
    );
  }
  return path.resolve(found);
}

/** Compiles files into {compiler, contracts: {name: {abi, evm}}}. A warning is an error. */
function compile(files) {
  const modules = nodeModules();
  const solc = require(path.join(modules, "solc"));
  const sources = files.map((file) => [path.basename(file), { content: fs.readFileSync(file, "utf8") }]);
  const input = { language: "Solidity", sources: Object.fromEntries(sources), settings: SETTINGS };
  const read = (wanted) => {
    const file = path.join(modules, wanted);
    return fs.existsSync(file) ? { contents: fs.readFileSync(file, "utf8") } : { error: `no ${wanted} in ${modules}` };
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
  const complaints = output.errors || [];
  if (complaints.length) fail(complaints.map((each) => each.formattedMessage).join("\n"));
  const contracts = sources.flatMap(([name]) => Object.entries(output.contracts[name] || {}));
  return { compiler: solc.version(), contracts: Object.fromEntries(contracts) };
}

function artifact() {
  const { compiler, contracts } = compile([SOURCE]);
  const { abi, evm } = contracts.Htlc;
  const { outputSelection, ...settings } = SETTINGS;
  const content = {
    contractName: "Htlc",
    compiler,
    settings,
    abi,
    bytecode: `0x${evm.bytecode.object}`,
    deployedBytecode: `0x${evm.deployedBytecode.object}`,
    sourceSha256: createHash("sha256").update(fs.readFileSync(SOURCE)).digest("hex"),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

function print(files) {
  const { contracts } = compile(files);
  const printed = Object.entries(contracts).map(([name, { abi, evm }]) => [
    name,
    { abi, bytecode: `0x${evm.bytecode.object}` },
  ]);
  process.stdout.write(JSON.stringify(Object.fromEntries(printed)));
}

if (given("--print")) {
  print(given("--print"));
} else if (given("--check")) {
  const committed = fs.existsSync(ARTIFACT) ? fs.readFileSync(ARTIFACT, "utf8") : "";
  if (committed !== artifact()) fail("Htlc.json is not what Htlc.sol compiles to: run build.js and commit the result");
} else {
  fs.writeFileSync(ARTIFACT, artifact());
}
