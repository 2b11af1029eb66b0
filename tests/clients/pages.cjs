// SPDX-License-Identifier: MIT
// Shows pages of snakeviz and tuna in headless Chromium and prints what they say.
//
//   node pages.cjs NODE_MODULES CHROMIUM
//
// Reads lines of JSON, ["snakeviz" or "tuna", address]; writes one for each: {"page": what the page says, or null, "errors": [...]}
"use strict";
const path = require("path");
const readline = require("readline");

const [modules, executablePath] = process.argv.slice(2);
const { chromium } = require(path.join(modules, "playwright-core"));
const PATIENCE = 120000; // ms

// In the page: snakeviz' table, without paging, and its picture, which a worker makes; null while there is none yet.
function snakeviz() {
  const failed = getComputedStyle(document.getElementById("sv-error-div")).display !== "none";
  const shapes = document.querySelectorAll("#chart svg rect, #chart svg path").length;
  const lines = document.querySelectorAll("#pstats-table tbody tr");
  if (lines.length === 0 || !(failed || shapes > 0)) return null;
  const rows = [...lines].map((row) => [...row.children].map((cell) => cell.textContent));
  return { rows, shapes, failed, root: window.sv_root_func_name, whole: window.sv_total_time };
}

// In the page: tuna's boxes, each its texts and its place.
function tuna() {
  const boxes = [...document.querySelectorAll("svg > g")].map((group) => {
    const rectangle = group.querySelector("rect");
    return {
      texts: [...group.querySelectorAll("tspan")].map((line) => line.textContent),
      place: ["x", "y", "width", "height"].map((name) => Number(rectangle.getAttribute(name))),
    };
  });
  return boxes.length ? boxes : null;
}

const readers = { snakeviz, tuna };

async function show(page, kind, address) {
  const errors = [];
  const note = (error) => errors.push(String(error.message ? (typeof error.message === "function" ? error.message() : error.message) : error));
  const dismiss = (dialog) => { note(dialog); dialog.dismiss(); };
  page.on("pageerror", note);
  page.on("dialog", dismiss);
  let found = null;
  try {
    await page.goto(address, { timeout: PATIENCE });
    for (const start = Date.now(); found === null && errors.length === 0 && Date.now() - start < PATIENCE; ) {
      found = await page.evaluate(readers[kind]);
      if (found === null) await page.waitForTimeout(50);
    }
  } catch (error) {
    note(error);
  }
  page.off("pageerror", note);
  page.off("dialog", dismiss);
  return { page: found, errors };
}

async function main() {
  const browser = await chromium.launch({
    executablePath,
    // snakeviz' worker first asks a server far away for its libraries: that must fail at once.
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
  });
  // tuna leaves out boxes of less than a pixel.
  const page = await browser.newPage({ viewport: { width: 20000, height: 1000 } });
  for await (const line of readline.createInterface({ input: process.stdin }))
    process.stdout.write(JSON.stringify(await show(page, ...JSON.parse(line))) + "\n");
  await browser.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
