/**
 * What others' tools say: cfn-lint and checkov about the template, hadolint about the Dockerfile,
 * shellcheck about the scripts. What is let pass is written down with its reason, in `.cfnlintrc`,
 * `.checkov.yaml`, and beside the line.
 *
 * TOOLS names the folder of the tools; `./tests/run deploy` installs them. Without it all is skipped.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

const folder = fileURLToPath(new URL("..", import.meta.url));
const tools = process.env.TOOLS;
const skip = tools ? false : "TOOLS names no folder";

function clean(tool: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(join(tools!, tool), args, {
    cwd: folder,
    encoding: "utf8",
  });
  assert.equal(error, undefined);
  assert.equal(status, 0, `${tool}:\n${stdout}\n${stderr}`);
  return stdout;
}

test("cfn-lint has nothing to say about the template", { skip }, () => {
  clean("cfn-lint");
});

test("checkov has nothing to say about the template but what is explained", { skip }, () => {
  const said = JSON.parse(
    clean(
      "checkov",
      "--config-file",
      ".checkov.yaml",
      "--file",
      "template.json",
      "--output",
      "json",
    ),
  );
  assert.ok(said.summary.passed > 100, "it looked at the template");
  assert.equal(said.summary.parsing_errors, 0);
});

test("hadolint has nothing to say about the Dockerfile", { skip }, () => {
  clean("hadolint", "../Dockerfile");
});

test("shellcheck has nothing to say about the scripts", { skip }, () => {
  clean(
    "shellcheck",
    "--external-sources",
    "deploy",
    "release",
    "remove",
    "push",
    "functions",
    "flow",
  );
});
