// SPDX-License-Identifier: MIT
// Shows files to speedscope's own app in headless Chromium and prints what its sandwich table says.
//
//   node speedscope.cjs NODE_MODULES CHROMIUM
//
// Reads paths, one a line; writes one line of JSON for each: {"profiles": [{"name", "rows": [[total, self, symbol, tooltip]]}], "errors": [...]}
"use strict";
const fs = require("fs");
const http = require("http");
const path = require("path");
const readline = require("readline");

const [modules, executablePath] = process.argv.slice(2);
const { chromium } = require(path.join(modules, "playwright-core"));
const app = path.join(modules, "speedscope/dist/release");

const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".wasm": "application/wasm" };

function serve() {
  const server = http.createServer((request, response) => {
    const name = decodeURIComponent(new URL(request.url, "http://x").pathname);
    const file = name.startsWith("/profile/") ? "/" + name.slice("/profile/".length) : path.join(app, name === "/" ? "index.html" : name);
    fs.readFile(file, (error, data) => {
      response.writeHead(error ? 404 : 200, { "content-type": types[path.extname(file)] || "application/octet-stream" });
      response.end(error ? "" : data);
    });
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

// In the page: the rows in view, and how many pixels the table has in all. It draws only what is in view.
function rowsInView(from) {
  const head = [...document.querySelectorAll("thead")].find((each) => each.innerText.includes("Symbol Name"));
  if (!head) return null;
  const area = head.closest("table").nextElementSibling;
  area.scrollTop = from;
  const text = (cell) => [...cell.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data).join("");
  const read = () => {
    const rows = [...area.querySelectorAll("tr")].map((row) => row.querySelectorAll("td")).filter((cells) => cells.length === 3);
    return { rows: rows.map(([total, self, name]) => [text(total), text(self), text(name), name.title]), height: area.scrollHeight, view: area.clientHeight };
  };
  // Drawn two frames after the scroll at the latest.
  return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(0)))).then(read);
}

async function table(page) {
  const found = new Map(); // by what is shown: names are unique with their file
  for (let from = 0, height = 1; from < height; ) {
    const part = await page.evaluate(rowsInView, from);
    if (part === null) return null;
    for (const row of part.rows) found.set(JSON.stringify(row), row);
    height = part.height;
    from += Math.max(part.view - 40, 20);
  }
  return [...found.values()];
}

async function until(what, check, page) {
  for (const start = Date.now(); Date.now() - start < 60000; await page.waitForTimeout(30)) {
    const result = await check();
    if (result) return result;
  }
  throw new Error(`waited a minute for ${what}`);
}

// "<thread MainThread #1>, exact (2/6)", or without a count where there is one profile only.
function title() {
  const bar = [...document.querySelectorAll("span")].map((each) => each.innerText);
  const counted = bar.map((text) => /^(.*) \((\d+)\/(\d+)\)$/s.exec(text)).find((match) => match);
  return counted ? { name: counted[1], at: +counted[2], of: +counted[3] } : { name: document.title.replace(/ - speedscope$/, ""), at: 1, of: 1 };
}

async function open(page, address) {
  await page.goto("about:blank");
  await page.goto(address);
  await until("the sandwich table", async () => {
    await page.keyboard.press("3");
    return page.evaluate(rowsInView, 0);
  }, page);
  // A file opens at its activeProfileIndex; begin with the first.
  while ((await page.evaluate(title)).at > 1) await step(page, "p", -1);
}

async function step(page, key, by) {
  const { at } = await page.evaluate(title);
  await page.keyboard.press(key);
  await until("the next profile", async () => (await page.evaluate(title)).at === at + by, page);
}

async function show(page, port, file) {
  const errors = [];
  const note = (error) => errors.push(String(error.message ? (typeof error.message === "function" ? error.message() : error.message) : error));
  const dismiss = (dialog) => { note(dialog); dialog.dismiss(); };
  page.on("pageerror", note);
  page.on("dialog", dismiss);
  const profiles = [];
  try {
    const base = `http://127.0.0.1:${port}/`;
    await open(page, `${base}#profileURL=${encodeURIComponent(base + "profile" + encodeURI(file))}`);
    for (let { at, of } = await page.evaluate(title); ; at++) {
      profiles.push({ name: (await page.evaluate(title)).name, rows: await table(page) });
      if (at >= of) break;
      await step(page, "n", 1);
    }
  } catch (error) {
    note(error);
  }
  page.off("pageerror", note);
  page.off("dialog", dismiss);
  return { profiles, errors };
}

async function main() {
  const server = await serve();
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
  });
  // High: a table of 20,000 rows is drawn a view at a time.
  const page = await browser.newPage({ viewport: { width: 1200, height: 6000 } });
  for await (const file of readline.createInterface({ input: process.stdin }))
    process.stdout.write(JSON.stringify(await show(page, server.address().port, file)) + "\n");
  await browser.close();
  server.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
