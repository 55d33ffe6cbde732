/**
 * `deploy` and `remove` for real, with the aws CLI, against moto: the stack is made, looked at,
 * deployed again without a change, and removed.
 *
 * moto is no AWS. It shows that the scripts work, that the template is well-formed, that references
 * and conditions resolve; not that AWS would accept every property. It refuses a deregistration
 * delay of 3600 s, which AWS allows (it compares with `range(0, 3600)`), so here it is 3599.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const folder = fileURLToPath(new URL("..", import.meta.url));
const tools = process.env.TOOLS;
const skip = tools ? false : "TOOLS names no folder";
const work = mkdtempSync(join(tmpdir(), "voice-s2s-rehearsal-"));
const env: NodeJS.ProcessEnv = {
  PATH: `${tools}:${process.env.PATH}`,
  HOME: work,
  AWS_ACCESS_KEY_ID: "rehearsal",
  AWS_SECRET_ACCESS_KEY: "rehearsal",
  AWS_REGION: "us-east-1",
  AWS_DEFAULT_REGION: "us-east-1",
  POLL_SECONDS: "1",
};
let moto: ChildProcess | undefined;

const script = async (name: string, ...args: string[]) =>
  (await run(join(folder, name), args, { env, timeout: 240_000 })).stdout;
const aws = async (...args: string[]) =>
  JSON.parse((await run("aws", [...args, "--output", "json"], { env, timeout: 120_000 })).stdout || "null");

before(async () => {
  if (skip) return;
  // Port 0 takes a free one, and moto's first lines say which.
  moto = spawn(join(tools!, "moto_server"), ["-H", "127.0.0.1", "-p", "0"], { stdio: ["ignore", "pipe", "pipe"] });
  const port = await new Promise<string>((found, failed) => {
    const lines = [moto!.stdout!, moto!.stderr!].map((input) => createInterface({ input }));
    for (const reader of lines) {
      reader.on("line", (line) => {
        const match = /http:\/\/127\.0\.0\.1:(\d+)/.exec(line);
        if (match) found(match[1]!);
      });
    }
    moto!.once("exit", (code) => failed(new Error(`moto_server ended with ${code}`)));
  });
  // moto knows buckets by their path under this name only.
  env.AWS_ENDPOINT_URL = `http://localhost:${port}`;
});

after(async () => {
  if (moto && moto.exitCode === null) {
    moto.kill();
    await once(moto, "exit");
  }
  rmSync(work, { recursive: true, force: true });
});

function parameters(more: Record<string, string>): string {
  const file = join(work, `parameters-${Object.keys(more).length}`);
  const given = {
    ImageUri: "111122223333.dkr.ecr.us-east-1.amazonaws.com/voice-s2s:test",
    DeregistrationDelay: "3599",
    ...more,
  };
  writeFileSync(file, Object.entries(given).map(([key, value]) => `${key}=${value}`).join("\n"));
  return file;
}

test("one command deploys a new network and all that stands in it; one removes it", { skip, timeout: 480_000 }, async () => {
  const secret = await aws("secretsmanager", "create-secret", "--name", "api-keys", "--secret-string", "none");
  const zone = await aws("route53", "create-hosted-zone", "--name", "example.com", "--caller-reference", "1");
  const file = parameters({
    DomainName: "voice.example.com",
    HostedZoneId: zone.HostedZone.Id.split("/").at(-1),
    ApiKeysArn: secret.ARN,
    CertificateArn: "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000",
  });
  const said = await script("deploy", "voice", file);
  assert.match(said, /CREATE_COMPLETE/);
  assert.match(said, /Address\s+https:\/\/voice\.example\.com/);

  const { clusterArns } = await aws("ecs", "list-clusters");
  assert.equal(clusterArns.length, 1);
  const { serviceArns } = await aws("ecs", "list-services", "--cluster", "voice");
  const { services: [service] } = await aws("ecs", "describe-services", "--cluster", "voice", "--services", serviceArns[0]);
  assert.equal(service.loadBalancers[0].containerPort, 8080);
  const { taskDefinition } = await aws("ecs", "describe-task-definition", "--task-definition", service.taskDefinition);
  const [container] = taskDefinition.containerDefinitions;
  const value = (name: string) => container.environment.find((entry: any) => entry.name === name)?.value;
  assert.match(value("SESSION_LOG"), /^s3:\/\/./);
  assert.equal(value("METRICS_SERVICE"), "voice");
  assert.equal(value("JWT_ISSUER"), undefined, "a variable that nobody set is not there");
  const secrets = container.secrets.map((entry: any) => entry.name);
  assert.ok(secrets.includes("API_KEYS") && secrets.includes("SESSION_STORE_KEY"), secrets.join());
  assert.ok(!secrets.includes("LANGFUSE_SECRET_KEY"));

  // The two keys that are made there have the form that the program asks for.
  const keys = container.secrets.filter((entry: any) => /_KEY$|TICKET/.test(entry.name));
  for (const { name, valueFrom } of keys) {
    const { SecretString } = await aws("secretsmanager", "get-secret-value", "--secret-id", valueFrom);
    assert.match(SecretString, /^[0-9a-f]{64}$/, name);
  }

  const { Listeners } = await aws("elbv2", "describe-listeners", "--load-balancer-arn",
    (await aws("elbv2", "describe-load-balancers")).LoadBalancers[0].LoadBalancerArn);
  assert.deepEqual(Listeners.map((listener: any) => listener.Port).sort(), [443, 80]);
  const { ResourceRecordSets } = await aws("route53", "list-resource-record-sets", "--hosted-zone-id", zone.HostedZone.Id);
  assert.ok(ResourceRecordSets.some((record: any) => record.Name === "voice.example.com."));

  assert.match(await script("deploy", "voice", file), /UPDATE_COMPLETE|nothing changes/);

  const gone = await script("remove", "voice");
  assert.match(gone, /what was said is in s3:/);
  assert.deepEqual((await aws("ecs", "list-clusters")).clusterArns, []);
  const { Buckets } = await aws("s3api", "list-buckets");
  const bucket = /s3:\/\/([^,\s]+)/.exec(gone)![1];
  assert.ok(Buckets.some((entry: any) => entry.Name === bucket), "session logs stay");
});

test("a wrong file of parameters is named with its line", { skip }, async () => {
  const file = join(work, "wrong");
  writeFileSync(file, "DomainName: voice.example.com\n");
  await assert.rejects(script("deploy", "other", file), /expected Name=Value, found: DomainName: voice/);
  await assert.rejects(script("remove", "other"), /there is no stack other/);
});
