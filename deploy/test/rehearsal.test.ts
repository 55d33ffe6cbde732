/**
 * `deploy` and `remove` for real, with the aws CLI, against moto: the stack is made, looked at,
 * deployed again without a change, and removed.
 *
 * moto is no AWS. It shows that the scripts work, that the template is well-formed, that references
 * and conditions resolve; not that AWS would accept every property. What it lacks is gone round in
 * `forMoto`, and one number is another one: it refuses a deregistration delay of 3600 s, which AWS
 * allows (it compares with `range(0, 3600)`), so here it is 3599.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
  (await run(join(folder, name), args, { env, timeout: 900_000 })).stdout;
const aws = async (...args: string[]) =>
  JSON.parse(
    (await run("aws", [...args, "--output", "json"], { env, timeout: 600_000 })).stdout || "null",
  );

before(async () => {
  if (skip) return;
  // Port 0 takes a free one, and moto's first lines say which.
  moto = spawn(join(tools!, "moto_server"), ["-H", "127.0.0.1", "-p", "0"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
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
  env.TEMPLATE = forMoto();
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

/** The template without what moto cannot read: Fn::Cidr, and attributes of some resources. */
function forMoto(): string {
  const template = JSON.parse(readFileSync(join(folder, "template.json"), "utf8"));
  const mute =
    /^AWS::CloudWatch::(Composite)?Alarm$|^AWS::ElasticLoadBalancingV2::TargetGroup$|^AWS::ServiceDiscovery::|^AWS::WAFv2::IPSet$/;
  const change = (value: any): any => {
    if (Array.isArray(value)) return value.map(change);
    if (!value || typeof value !== "object") return value;
    if (value["Fn::Cidr"]) return [0, 16, 32, 48].map((part) => `10.64.${part}.0/20`);
    const attribute = value["Fn::GetAtt"];
    if (attribute && mute.test(template.Resources[attribute[0]].Type)) return attribute.join(".");
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, change(inner)]));
  };
  const file = join(work, "template.json");
  writeFileSync(file, JSON.stringify(change(template)));
  return file;
}

/** A file of parameters as `deploy` reads it. */
async function parameters(more: Record<string, string>): Promise<string> {
  const secret = await aws(
    "secretsmanager",
    "create-secret",
    "--name",
    `keys-${count}`,
    "--secret-string",
    "none",
  );
  const zone = await aws(
    "route53",
    "create-hosted-zone",
    "--name",
    "example.com",
    "--caller-reference",
    `${count}`,
  );
  const certificate = await aws("acm", "request-certificate", "--domain-name", "voice.example.com");
  const given = {
    ImageUri: "111122223333.dkr.ecr.us-east-1.amazonaws.com/voice-s2s:test",
    DeregistrationDelay: "3599",
    DomainName: "voice.example.com",
    HostedZoneId: zone.HostedZone.Id.split("/").at(-1),
    CertificateArn: certificate.CertificateArn,
    ApiKeysArn: secret.ARN,
    ...more,
  };
  const file = join(work, `parameters-${count++}`);
  writeFileSync(
    file,
    ["# a comment", "", ...Object.entries(given).map(([key, value]) => `${key}=${value}`)].join(
      "\n",
    ),
  );
  return file;
}
let count = 0;

const named = (container: any, list: string) =>
  Object.fromEntries(
    container[list]
      .filter(Boolean)
      .map((entry: any) => [entry.name, entry.value ?? entry.valueFrom]),
  );

test(
  "one command deploys into a network that is there, and one removes",
  { skip, timeout: 1_800_000 },
  async () => {
    const [vpc] = (await aws("ec2", "describe-vpcs")).Vpcs;
    const subnets = (await aws("ec2", "describe-subnets")).Subnets.map(
      (subnet: any) => subnet.SubnetId,
    ).join();
    const file = await parameters({
      VpcId: vpc.VpcId,
      VpcCidr: vpc.CidrBlock,
      PublicSubnetIds: subnets,
      PrivateSubnetIds: subnets,
    });
    const said = await script("deploy", "voice", file);
    assert.match(said, /CREATE_COMPLETE/);
    assert.match(said, /Address\s+https:\/\/voice\.example\.com/);
    assert.equal((await aws("ec2", "describe-vpcs")).Vpcs.length, 1, "no network of its own");

    const { taskDefinition } = await aws(
      "ecs",
      "describe-task-definition",
      "--task-definition",
      "voice",
    );
    const [container] = taskDefinition.containerDefinitions;
    const environment = named(container, "environment");
    assert.match(environment.SESSION_LOG, /^s3:\/\/./);
    assert.equal(environment.METRICS_SERVICE, "voice");
    assert.equal(environment.TRUSTED_PROXIES, vpc.CidrBlock);
    assert.ok(!("JWT_ISSUER" in environment), "a variable that nobody set is not there");
    const secrets = named(container, "secrets");
    assert.match(secrets.API_KEYS, /^arn:.*:secret:keys-0/);
    assert.ok(!("LANGFUSE_SECRET_KEY" in secrets));
    assert.equal(container.stopTimeout, 120);
    assert.equal(taskDefinition.memory, "2048");

    const [balancer] = (await aws("elbv2", "describe-load-balancers")).LoadBalancers;
    const { Listeners } = await aws(
      "elbv2",
      "describe-listeners",
      "--load-balancer-arn",
      balancer.LoadBalancerArn,
    );
    assert.deepEqual(Listeners.map((listener: any) => listener.Port).sort(), [443, 80]);

    assert.match(await script("deploy", "voice", file), /UPDATE_COMPLETE|nothing changes/);

    // moto itself leaves clusters behind.
    const gone = await script("remove", "voice");
    const bucket = /what was said is in s3:\/\/([^,]+), under key arn:/.exec(gone)?.[1];
    assert.deepEqual((await aws("elbv2", "describe-load-balancers")).LoadBalancers, []);
    const { Buckets } = await aws("s3api", "list-buckets");
    assert.ok(
      Buckets.some((entry: any) => entry.Name === bucket),
      gone,
    );
  },
);

test(
  "without a VPC one is made, with two zones and a way out of each",
  { skip, timeout: 900_000 },
  async () => {
    await script("deploy", "fresh", await parameters({}));
    const {
      Vpcs: [vpc],
    } = await aws("ec2", "describe-vpcs", "--filters", "Name=cidr,Values=10.64.0.0/16");
    const of = ["--filters", `Name=vpc-id,Values=${vpc.VpcId}`];
    const { Subnets } = await aws("ec2", "describe-subnets", ...of);
    assert.deepEqual(new Set(Subnets.map((subnet: any) => subnet.AvailabilityZone)).size, 2);
    const { RouteTables } = await aws("ec2", "describe-route-tables", ...of);
    const out = RouteTables.flatMap((table: any) => table.Routes).filter(
      (route: any) => route.DestinationCidrBlock === "0.0.0.0/0",
    );
    assert.equal(new Set(out.map((route: any) => route.NatGatewayId).filter(Boolean)).size, 2);
    assert.equal(out.filter((route: any) => route.GatewayId?.startsWith("igw-")).length, 1);
  },
);

test(
  "with an instance of Connect and the functions, the bridge is there and they know where",
  { skip, timeout: 900_000 },
  async () => {
    const zip = join(work, "function.zip");
    // An archive with nothing in it.
    writeFileSync(zip, Buffer.from(`504b0506${"00".repeat(18)}`, "hex"));
    await aws("s3api", "create-bucket", "--bucket", "functions");
    for (const name of ["start-bot-session", "process-bot-turn"]) {
      const key = `v1/${name}.zip`;
      await aws("s3api", "put-object", "--bucket", "functions", "--key", key, "--body", zip);
    }
    const keyOf = async (name: string) =>
      (await aws("secretsmanager", "create-secret", "--name", name, "--secret-string", name)).ARN;
    const bridgeKey = await keyOf("bridge-key-0123456789");
    const serverKey = await keyOf("server-key-0123456789");
    const said = await script(
      "deploy",
      "phone",
      await parameters({
        ConnectInstanceArn: "arn:aws:connect:us-east-1:111122223333:instance/i",
        FunctionBucket: "functions",
        FunctionPrefix: "v1/",
        BridgeKeyArn: bridgeKey,
        BridgeServerKeyArn: serverKey,
      }),
    );
    assert.match(said, /BridgeAddress\s+http:\/\/bridge\.phone\.internal:8081/);

    const { taskDefinition } = await aws(
      "ecs",
      "describe-task-definition",
      "--task-definition",
      "phone-bridge",
    );
    const [container] = taskDefinition.containerDefinitions;
    assert.deepEqual(container.command, ["bridge"]);
    const environment = named(container, "environment");
    assert.equal(environment.BRIDGE_SERVER, "wss://voice.example.com/sonic");
    assert.match(environment.PROMPT_BUCKET, /^s3:\/\/./);
    assert.deepEqual(named(container, "secrets"), {
      BRIDGE_KEY: bridgeKey,
      BRIDGE_SERVER_KEY: serverKey,
    });
    const services = await aws("ecs", "list-services", "--cluster", "phone-bridge");
    assert.equal(services.serviceArns.length, 1);
    const { Functions } = await aws("lambda", "list-functions");
    const urls = Functions.map((entry: any) => entry.Environment.Variables.BRIDGE_URL);
    assert.equal(urls.length, 2);
    for (const url of urls) assert.equal(url, "http://bridge.phone.internal:8081");
  },
);

test(
  "a wrong file of parameters is named with its line, and so is a stack that is not there",
  { skip },
  async () => {
    const file = join(work, "wrong");
    writeFileSync(file, "DomainName: voice.example.com\n");
    await assert.rejects(
      script("deploy", "other", file),
      /expected Name=Value, found: DomainName: voice/,
    );
    await assert.rejects(script("remove", "other"), /there is no stack other/);
  },
);
