/**
 * `release` with the real aws CLI, against a double of the five operations of ECS that it asks for,
 * since moto has no task protection.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const script = fileURLToPath(new URL("../release", import.meta.url));
const tools = process.env.TOOLS;
const skip = tools ? false : "TOOLS names no folder";

interface Fleet {
  /** Of the newest version. */
  deployment: { desiredCount: number; runningCount: number };
  /** Version of each task. */
  tasks: number[];
}

/** Runs the script against a fleet; returns the tasks of each request that took protection away. */
async function release({ deployment, tasks }: Fleet): Promise<string[][]> {
  const released: string[][] = [];
  const arn = (task: number) => `arn:aws:ecs:us-east-1:111122223333:task/voice/${task}`;
  const version = (number: number) =>
    `arn:aws:ecs:us-east-1:111122223333:task-definition/voice:${number}`;
  const answers: Record<string, ((request: any) => object) | undefined> = {
    ListServices: () => ({ serviceArns: ["arn:aws:ecs:us-east-1:111122223333:service/voice/s"] }),
    DescribeServices: () => ({
      services: [
        {
          deployments: [
            { status: "PRIMARY", taskDefinition: version(2), ...deployment },
            { status: "ACTIVE", taskDefinition: version(1), desiredCount: 0, runningCount: 2 },
          ],
        },
      ],
      failures: [],
    }),
    ListTasks: () => ({ taskArns: tasks.map((_, task) => arn(task)) }),
    DescribeTasks: (request) => {
      assert.ok(request.tasks.length <= 100);
      const named = request.tasks.map((name: string) => Number(name.split("/").at(-1)));
      return {
        tasks: named.map((task: number) => ({
          taskArn: arn(task),
          taskDefinitionArn: version(tasks[task]!),
        })),
        failures: [],
      };
    },
    UpdateTaskProtection: (request) => {
      assert.equal(request.protectionEnabled, false);
      released.push(request.tasks.map((name: string) => name.split("/").at(-1)));
      return { protectedTasks: [], failures: [] };
    },
  };
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const operation = String(request.headers["x-amz-target"]).split(".").at(-1)!;
    const answer = answers[operation];
    response.writeHead(answer ? 200 : 400, { "content-type": "application/x-amz-json-1.1" });
    response.end(JSON.stringify(answer ? answer(JSON.parse(body)) : { __type: "InvalidAction" }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await run(script, ["voice"], {
      timeout: 600_000,
      env: {
        PATH: `${tools}:${process.env.PATH}`,
        AWS_ACCESS_KEY_ID: "test",
        AWS_SECRET_ACCESS_KEY: "test",
        AWS_REGION: "us-east-1",
        AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      },
    });
  } finally {
    server.close();
  }
  return released;
}

test("old tasks are let go once the new ones serve, ten at a time", { skip }, async () => {
  const tasks = [...Array(12).fill(1), 2, 2];
  const released = await release({ deployment: { desiredCount: 2, runningCount: 2 }, tasks });
  assert.deepEqual(
    released.map((batch) => batch.length),
    [10, 2],
  );
  assert.deepEqual(
    released.flat(),
    tasks.flatMap((version, task) => (version === 1 ? [`${task}`] : [])),
  );
});

test("while the new ones start, the old ones stay protected", { skip }, async () => {
  assert.deepEqual(
    await release({ deployment: { desiredCount: 2, runningCount: 1 }, tasks: [1, 1, 2] }),
    [],
  );
});

test("where there is one version only, nothing is done", { skip }, async () => {
  assert.deepEqual(
    await release({ deployment: { desiredCount: 2, runningCount: 2 }, tasks: [2, 2] }),
    [],
  );
});
