// Read the JSON of `rnnvanish diagnose --json`, or say in a sentence what was expected and what came.
"use strict";

(() => {
  const rv = (globalThis.rv ||= {});
  const READ = [1, 2, 3]; // versions, as rnnvanish.diagnosis.report.document has them
  const LARGEST = 64; // MiB; what is larger would keep a browser busy for long
  const EXPECTED = "Expected is a report as `rnnvanish diagnose TARGET --json > report.json` writes it.";

  class NoReport extends Error {}
  const refuse = (came) => { throw new NoReport(`${EXPECTED} ${came}`); };

  const short = (value) => {
    const text = typeof value === "string" ? value : JSON.stringify(value) ?? String(value);
    return globalThis.rvReport.printable(text.length > 40 ? `${text.slice(0, 37)}...` : text);
  };
  const kind = (value) => (value === null ? "null" : Array.isArray(value) ? "a list" : `a ${{ object: "table", boolean: "word" }[typeof value] ?? typeof value}`);

  // Where it ends inside a string, or before all brackets are closed.
  const isCutOff = (text) => {
    let [depth, inside] = [0, false];
    for (let i = 0; i < text.length; i++) {
      const each = text[i];
      if (inside) {
        if (each === "\\") i++;
        else if (each === '"') inside = false;
      } else if (each === '"') inside = true;
      else if (each === "{" || each === "[") depth++;
      else if (each === "}" || each === "]") depth--;
    }
    return inside || depth > 0;
  };

  const noJson = (text) => {
    const start = text.trimStart();
    if (!start) return "What came is empty.";
    if (/^<(!doctype|html)/i.test(start)) return "What came is a page (HTML). The JSON stands beside it, if it was saved with `--out`.";
    if (start.includes("\0")) return "What came is no text.";
    if (!/^[{[]/.test(start)) return `What came is no JSON: it begins with “${short(start.split("\n")[0])}”. Is it the report as text? Add --json.`;
    if (isCutOff(text)) return `What came breaks off in the middle, after ${text.length.toLocaleString("en")} characters. Copy or save it again, whole.`;
    if (/[:,[]\s*-?(NaN|Infinity)\b/.test(text)) return "What came holds NaN or Infinity, which JSON does not know; a report writes null and \"infinity\".";
    return `What came begins like JSON, and is none: ${short(text.slice(-40).trim())} is how it ends.`;
  };

  const isNumber = (x) => x === null || x === "infinity" || (typeof x === "number" && x >= 0);
  const NEEDS = {
    verdict: [(x) => typeof x === "string", "a word"],
    gain: [(x) => Array.isArray(x) && x.every(isNumber), "a list of numbers"],
    half_life: [isNumber, 'a number, null or "infinity"'],
  };
  const MAY = {
    advice: [(x) => Array.isArray(x) && x.every((cure) => typeof cure?.cure === "string"), "a list of cures"],
    factors: [(x) => Array.isArray(x) && x.every((each) => typeof each?.called === "string" && isNumber(each.factor)), "a list of factors"],
    parts: [(x) => typeof x === "object" && Object.values(x).every((part) => Array.isArray(part)), "a table of lists"],
    notes: [Array.isArray, "a list of sentences"],
  };

  const checkLayer = (name, layer) => {
    if (typeof layer !== "object" || layer === null) refuse(`What came has ${kind(layer)} where the loop ${short(name)} should be.`);
    for (const [field, [fits, needed]] of Object.entries(NEEDS))
      if (!(field in layer)) refuse(`In what came the loop ${short(name)} lacks “${field}”.`);
      else if (!fits(layer[field])) refuse(`In what came “${field}” of the loop ${short(name)} is not ${needed}.`);
    for (const [field, [fits, needed]] of Object.entries(MAY))
      if (layer[field] !== undefined && layer[field] !== null && !fits(layer[field])) refuse(`In what came “${field}” of the loop ${short(name)} is not ${needed}.`);
  };

  rv.parseReport = (text) => {
    let found;
    try {
      found = JSON.parse(text);
    } catch {
      refuse(noJson(text));
    }
    if (typeof found !== "object" || found === null || Array.isArray(found)) refuse(`What came is JSON, but ${kind(found)} instead of a report.`);
    if (!("schema" in found) || typeof found.layers !== "object" || found.layers === null) {
      const names = Object.keys(found).slice(0, 4).map(short).join(", ");
      refuse(`What came is JSON of another kind: ${names ? `it has ${names}` : "it is empty"}, and no “schema” and “layers”.`);
    }
    if (!READ.includes(found.schema)) refuse(`What came is a report of version ${short(found.schema)}, and this page reads ${READ[0]} to ${READ.at(-1)}. Make it again with the rnnvanish that this site is of.`);
    if (!Object.keys(found.layers).length) refuse("What came is a report without any loop.");
    for (const [name, layer] of Object.entries(found.layers)) checkLayer(name, layer);
    return found;
  };

  // The text of a file: some shells write two bytes a character, and say so in the first two.
  rv.readReport = async (file) => {
    if (file.size > LARGEST * 2 ** 20) refuse(`What came has ${Math.round(file.size / 2 ** 20)} MiB; this page reads up to ${LARGEST}.`);
    const bytes = new Uint8Array(await file.arrayBuffer());
    const coding = bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : "utf-8";
    return rv.parseReport(new TextDecoder(coding).decode(bytes));
  };
  rv.NoReport = NoReport;
})();
