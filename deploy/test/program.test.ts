/**
 * What the template says to the program, held against the program itself: every variable is one that
 * `voice-s2s serve --help` lists, every metric one that it publishes.
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

/**
 * What this program does not have yet, and the next one will. Whatever of it the program has must
 * not stand here, so that the list empties.
 */
const AHEAD = {
  variables: [
    "TASK_PROTECTION",
    "CLOUDWATCH_METRICS",
    "CLOUDWATCH_NAMESPACE",
    "METRICS_ENVIRONMENT",
    "METRICS_SERVICE",
    "METRICS_HIGH_RESOLUTION",
    "CLOUDWATCH_REGION",
    "TRUSTED_PROXIES",
    "JWT_ISSUER",
    "JWT_AUDIENCE",
    "JWT_ROLES_CLAIM",
    "JWT_JWKS_URL",
    "ALLOWED_ORIGINS",
    "TICKET_SECRET",
    "API_KEYS",
  ],
  metrics: Object.values<string>(NAMES),
};

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Names of the variables of the task definition, the conditional ones included. */
function variables(): string[] {
  const { Resources } = JSON.parse(templateText());
  const [container] = Resources.ServiceTask.Properties.ContainerDefinitions;
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

/** Nothing is unknown but what is ahead, and nothing is ahead that is known. */
function hold(used: string[], known: (name: string) => boolean, ahead: string[]): void {
  const unknown = used.filter((name) => !known(name) && !ahead.includes(name));
  assert.deepEqual(unknown, [], "the program does not know these");
  assert.deepEqual(ahead.filter(known), [], "the program has these now: take them out of AHEAD");
}

test(
  "every variable of the task is one of the program's",
  { skip: !process.env.VOICE_S2S && "VOICE_S2S names no program" },
  () => {
    const help = execFileSync(process.env.VOICE_S2S!, ["serve", "--help"], { encoding: "utf8" });
    const listed = new Set([...help.matchAll(/\[env: ([A-Z0-9_]+)/g)].map((match) => match[1]));
    assert.ok(listed.size > 30, "no help");
    hold(variables(), (name) => listed.has(name), AHEAD.variables);
  },
);

test("every metric is published by the program", () => {
  const text = ["src", "crates", "actors"].flatMap((room) => sources(join(root, room))).join("\n");
  hold(Object.values(NAMES), (name) => text.includes(`"${name}"`), AHEAD.metrics);
});
