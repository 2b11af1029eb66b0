// SPDX-License-Identifier: MIT
// Shows files to speedscope's own app in headless Chromium and prints what its sandwich table says, or what "Time Order" draws.
//
//   node speedscope.cjs NODE_MODULES CHROMIUM
//
// Reads lines of JSON, {"file": path} or {"file": path, "ending": of the names of profiles, "columns": how many}; writes one for each:
// {"first": name of the profile shown first, "profiles": [{"name", "rows": [[total, self, symbol, tooltip]]}], "errors": [...]}, in place of
// rows "columns": [[[time, name], ...from the top on], ...] where columns were asked for.
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

// In the page: what is told of the box under the mouse.
function told() {
  const read = () => {
    const time = [...document.querySelectorAll("div > span:first-child")].find((each) => /^[\d.,]+\S* \([<>\d.]+%\)$/.test(each.innerText));
    const text = (parent) => [...parent.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data).join("").trim();
    return time ? [time.innerText, text(time.parentElement)] : null;
  };
  return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(0)))).then(read);
}

const WIDE = { width: 1200, height: 500 }; // each move of the mouse draws all of it
const HIGH = { width: 1200, height: 6000 }; // a table of 20,000 rows is drawn a view at a time
const ROW = 20; // pixels; the first one is the axis

async function columns(page, count) {
  await page.setViewportSize(WIDE);
  await page.keyboard.press("1");
  const top = await until("the flame chart", () => page.evaluate((width) => {
    const charts = [...document.querySelectorAll("canvas")].filter((each) => each.clientWidth === width).map((each) => each.getBoundingClientRect());
    return charts.length === 3 && charts[2].bottom === innerHeight ? charts[2].top : 0;
  }, WIDE.width), page);
  const at = async (x, row) => {
    await page.mouse.move(x, top + (row + 1.5) * ROW);
    return page.evaluate(told);
  };
  // It takes the mouse only some frames after it is there; at one of its ends there is a box.
  await until("the boxes", async () => (await at(2, 0)) || at(WIDE.width - 2, 0), page);
  const found = [];
  for (let column = 0; column < count; column++) {
    const boxes = [];
    for (let box; (box = await at(((column + 0.5) * WIDE.width) / count, boxes.length)) !== null; ) boxes.push(box);
    found.push(boxes);
  }
  await page.keyboard.press("3");
  await page.setViewportSize(HIGH);
  return found;
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
    if (await page.evaluate(() => document.body.innerText.includes("Something went wrong."))) throw new Error("speedscope cannot open it");
    return page.evaluate(rowsInView, 0);
  }, page);
  const { name } = await page.evaluate(title);
  // A file opens at its activeProfileIndex; begin with the first.
  while ((await page.evaluate(title)).at > 1) await step(page, "p", -1);
  return name;
}

async function step(page, key, by) {
  const { at } = await page.evaluate(title);
  await page.keyboard.press(key);
  await until("the next profile", async () => (await page.evaluate(title)).at === at + by, page);
}

async function show(page, port, question) {
  const errors = [];
  const note = (error) => errors.push(String(error.message ? (typeof error.message === "function" ? error.message() : error.message) : error));
  const dismiss = (dialog) => { note(dialog); dialog.dismiss(); };
  const said = (message) => { if (message.text().startsWith("Failed to load")) note(message.text()); };
  page.on("pageerror", note);
  page.on("console", said);
  page.on("dialog", dismiss);
  const profiles = [];
  let first = null;
  try {
    const base = `http://127.0.0.1:${port}/`;
    first = await open(page, `${base}#profileURL=${encodeURIComponent(base + "profile" + encodeURI(question.file))}`);
    for (let { at, of } = await page.evaluate(title); ; at++) {
      const { name } = await page.evaluate(title);
      if (!question.columns) profiles.push({ name, rows: await table(page) });
      else if (name.endsWith(question.ending)) profiles.push({ name, columns: await columns(page, question.columns) });
      if (at >= of) break;
      await step(page, "n", 1);
    }
  } catch (error) {
    note(error);
  }
  page.off("pageerror", note);
  page.off("console", said);
  page.off("dialog", dismiss);
  return { first, profiles, errors };
}

async function main() {
  const server = await serve();
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
  });
  const page = await browser.newPage({ viewport: HIGH });
  page.setDefaultNavigationTimeout(120000); // on a busy machine half a minute was not enough
  for await (const line of readline.createInterface({ input: process.stdin }))
    process.stdout.write(JSON.stringify(await show(page, server.address().port, JSON.parse(line))) + "\n");
  await browser.close();
  server.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
