/**
 * What the template says to the program, held against the program itself: every variable is one that
 * the help of `voice-s2s serve` or `voice-s2s bridge` lists, every metric one that it publishes.
 *
 * VOICE_S2S names the program; `./tests/run deploy` builds it. Without it that test is skipped.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

import { NAMES } from "../lib/metrics.ts";
import { templateText } from "../lib/stack.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Names of the variables of a task definition, the conditional ones included. */
function variables(task: string): string[] {
  const { Resources } = JSON.parse(templateText());
  const [container] = Resources[task].Properties.ContainerDefinitions;
  return [...container.Environment, ...container.Secrets].map(
    (entry) => entry.Name ?? entry["Fn::If"][1].Name,
  );
}

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "target" ? [] : sources(path);
    return entry.name.endsWith(".rs") ? [readFileSync(path, "utf8")] : [];
  });
}

for (const [command, task] of [
  ["serve", "ServiceTask"],
  ["bridge", "BridgeDefinition"],
] as const) {
  test(
    `every variable of the task that runs \`${command}\` is one of the program's`,
    { skip: !process.env.VOICE_S2S && "VOICE_S2S names no program" },
    () => {
      const help = execFileSync(process.env.VOICE_S2S!, [command, "--help"], { encoding: "utf8" });
      const listed = new Set([...help.matchAll(/\[env: ([A-Z0-9_]+)/g)].map((match) => match[1]));
      assert.ok(listed.size > 15, "no help");
      assert.deepEqual(
        variables(task).filter((name) => !listed.has(name)),
        [],
      );
    },
  );
}

test("every metric is published by the program", () => {
  const text = ["src", "crates", "actors"].flatMap((room) => sources(join(root, room))).join("\n");
  const unknown = Object.values(NAMES).filter((name) => !text.includes(`"${name}"`));
  assert.deepEqual(unknown, []);
});
