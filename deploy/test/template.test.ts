/**
 * What the template must say, whoever rewrites the constructs: the numbers that calls depend on, the
 * permissions, and that nothing is open or readable that should not be.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Match, Template } from "aws-cdk-lib/assertions";

import { flows } from "../connect/flows.ts";
import { NAMES, NAMESPACE } from "../lib/metrics.ts";
import { templateText } from "../lib/stack.ts";

const text = templateText();
const raw = JSON.parse(text);
const template = Template.fromJSON(raw);

const container = (task = "ServiceTask") => raw.Resources[task].Properties.ContainerDefinitions[0];
const attributes = (list: { Key: string; Value: unknown }[]) =>
  Object.fromEntries(list.filter((entry) => entry.Key).map(({ Key, Value }) => [Key, Value]));
const parameter = (name: string) => raw.Parameters[name];

test("template.json is what the stack makes", () => {
  const committed = readFileSync(new URL("../template.json", import.meta.url), "utf8");
  assert.ok(
    committed === text,
    "template.json is old: `npm run template`, and look at the difference",
  );
});

test("the contact flows are what their source makes", () => {
  for (const [name, content] of Object.entries(flows)) {
    const committed = readFileSync(new URL(`../connect/${name}`, import.meta.url), "utf8");
    assert.ok(committed === content, `${name} is old: \`npm run flows\``);
  }
});

test("the template needs no bootstrap and no asset, and has an ending to every name", () => {
  assert.deepEqual(
    Object.keys(raw.Parameters).filter((name) => /bootstrap|asset/i.test(name)),
    [],
  );
  assert.ok(!text.includes("cdk-hnb659fds"));
  for (const name of Object.keys(raw.Resources)) assert.doesNotMatch(name, /[0-9A-F]{8}$/, name);
});

test("only the image has to be given, and every parameter says what it is for and has a group", () => {
  const entries = Object.entries<any>(raw.Parameters);
  const needed = entries.filter(([, spec]) => spec.Default === undefined).map(([name]) => name);
  assert.deepEqual(needed, ["ImageUri"]);
  for (const [name, spec] of entries) assert.ok(spec.Description?.length > 5, name);
  const groups: { Parameters: string[] }[] =
    raw.Metadata["AWS::CloudFormation::Interface"].ParameterGroups;
  const grouped = groups.flatMap((group) => group.Parameters);
  assert.deepEqual(grouped.sort(), Object.keys(raw.Parameters).sort());
});

test("a call outlives the replacement of its task", () => {
  const [group] = Object.values(template.findResources("AWS::ElasticLoadBalancingV2::TargetGroup"));
  const has = attributes(group!.Properties.TargetGroupAttributes);
  assert.deepEqual(has["deregistration_delay.timeout_seconds"], { Ref: "DeregistrationDelay" });
  assert.equal(parameter("DeregistrationDelay").Default, "3600");
  assert.equal(has["load_balancing.algorithm.type"], "least_outstanding_requests");
  assert.equal(has["slow_start.duration_seconds"], undefined, "not together with that algorithm");
  assert.deepEqual(has["stickiness.enabled"], { Ref: "Stickiness" });
  assert.equal(parameter("Stickiness").Default, "false");

  assert.equal(container().StopTimeout, 120);
  template.hasResourceProperties("AWS::ECS::Service", {
    DeploymentConfiguration: {
      MinimumHealthyPercent: 100,
      MaximumPercent: 200,
      DeploymentCircuitBreaker: { Enable: true, Rollback: true },
      Alarms: { Enable: true, Rollback: true, AlarmNames: Match.anyValue() },
    },
    EnableExecuteCommand: false,
    DesiredCount: Match.absent(),
  });
});

test("what the balancer probes is liveness, every ten seconds", () => {
  template.hasResourceProperties("AWS::ElasticLoadBalancingV2::TargetGroup", {
    HealthCheckPath: "/health",
    HealthCheckIntervalSeconds: 10,
    HealthyThresholdCount: 2,
    UnhealthyThresholdCount: 3,
    TargetType: "ip",
    Port: 8080,
  });
  assert.deepEqual(container().HealthCheck.Command, [
    "CMD",
    "/usr/local/bin/voice-s2s",
    "healthcheck",
  ]);
});

test("the idle timeout may be anything the balancer allows, an hour included", () => {
  const [balancer] = Object.values(
    template.findResources("AWS::ElasticLoadBalancingV2::LoadBalancer"),
  );
  const has = attributes(balancer!.Properties.LoadBalancerAttributes);
  assert.deepEqual(has["idle_timeout.timeout_seconds"], { Ref: "IdleTimeout" });
  const { Default, AllowedPattern } = parameter("IdleTimeout");
  assert.equal(Default, "120");
  const allowed = (value: string) => new RegExp(`^(?:${AllowedPattern})$`).test(value);
  assert.deepEqual(["1", "60", "3600", "4000"].map(allowed), [true, true, true, true]);
  assert.deepEqual(["0", "4001", "12h", ""].map(allowed), [false, false, false, false]);
});

test("outside there is TLS 1.2 or newer, and port 80 only leads there", () => {
  template.hasResourceProperties("AWS::ElasticLoadBalancingV2::Listener", {
    Port: 443,
    Protocol: "HTTPS",
    SslPolicy: "ELBSecurityPolicy-TLS13-1-2-2021-06",
    DefaultActions: [{ Type: "forward" }],
  });
  template.hasResourceProperties("AWS::ElasticLoadBalancingV2::Listener", {
    Port: 80,
    DefaultActions: [
      {
        Type: "redirect",
        RedirectConfig: { Protocol: "HTTPS", Port: "443", StatusCode: "HTTP_301" },
      },
    ],
  });
  template.resourceCountIs("AWS::ElasticLoadBalancingV2::Listener", 2);
});

test("tasks are reached from the balancer alone and have no public address", () => {
  template.allResourcesProperties("AWS::ECS::Service", {
    NetworkConfiguration: {
      AwsvpcConfiguration: Match.objectLike({ AssignPublicIp: "DISABLED" }),
    },
  });
  const [access] = Object.entries(template.findResources("AWS::EC2::SecurityGroup"))
    .filter(([name]) => name === "ServiceAccess")
    .map(([, resource]) => resource);
  assert.equal(access!.Properties.SecurityGroupIngress, undefined);
  const into = Object.values(template.findResources("AWS::EC2::SecurityGroupIngress")).map(
    ({ Properties }) => [Properties.FromPort, Properties.SourceSecurityGroupId["Fn::GetAtt"][0]],
  );
  assert.deepEqual(into.sort(), [
    [6379, "ServiceAccess"],
    [8080, "BalancerAccess"],
    [8081, "PhoneAccess"],
  ]);
});

test("the container may write to one volume and has no rights it does not need", () => {
  const { ReadonlyRootFilesystem, User, MountPoints, LinuxParameters, Privileged } = container();
  assert.equal(ReadonlyRootFilesystem, true);
  assert.equal(User, "10001:10001");
  assert.equal(Privileged, undefined);
  assert.deepEqual(LinuxParameters.Capabilities, { Drop: ["ALL"] });
  assert.deepEqual(MountPoints, [
    { ContainerPath: "/app/data", ReadOnly: false, SourceVolume: "data" },
  ]);
  const dockerfile = readFileSync(new URL("../../Dockerfile", import.meta.url), "utf8");
  assert.match(dockerfile, /^VOLUME \["\/app\/data"\]$/m, "its owner comes from the image");
  assert.match(dockerfile, /^USER 10001:10001$/m);
});

test("a log that cannot be written stops nobody", () => {
  const { LogDriver, Options } = container().LogConfiguration;
  assert.equal(LogDriver, "awslogs");
  assert.equal(Options.mode, "non-blocking");
  assert.equal(Options["max-buffer-size"], "25m");
  const groups = Object.values(template.findResources("AWS::Logs::LogGroup"));
  for (const { Properties } of groups) assert.ok(Properties.RetentionInDays && Properties.KmsKeyId);
});

/** Actions of a role, by the id of the statement. */
function actions(role: string): Record<string, { actions: string[]; resource: string }> {
  const statements = Object.values<any>(raw.Resources)
    .filter(
      ({ Type, Properties }) =>
        Type === "AWS::IAM::Policy" &&
        Properties.Roles.some((ref: { Ref: string }) => ref.Ref === role),
    )
    .flatMap(({ Properties }) => Properties.PolicyDocument.Statement);
  return Object.fromEntries(
    statements.map(({ Sid, Action, Resource }) => [
      Sid,
      { actions: [Action].flat().sort(), resource: JSON.stringify(Resource) },
    ]),
  );
}

test("the task may do what it does, and nothing else", () => {
  const may = actions("RolesTask");
  assert.deepEqual(
    Object.fromEntries(Object.entries(may).map(([sid, { actions }]) => [sid, actions])),
    {
      NovaSonic: ["bedrock:InvokeModel", "bedrock:InvokeModelWithBidirectionalStream"],
      Transcribe: ["transcribe:StartStreamTranscription"],
      SessionLogs: ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
      SessionLogList: ["s3:ListBucket"],
      SessionLogKey: ["kms:Decrypt", "kms:GenerateDataKey"],
      Metrics: ["cloudwatch:PutMetricData"],
      ScaleInProtection: ["ecs:GetTaskProtection", "ecs:UpdateTaskProtection"],
      ToolLambdas: ["lambda:InvokeFunction"],
      KnowledgeBases: ["bedrock:Retrieve"],
    },
  );
  const everywhere = Object.keys(may).filter((sid) => may[sid]!.resource === '"*"');
  assert.deepEqual(everywhere, ["Transcribe", "Metrics"], "these know no resource");
  template.hasResourceProperties("AWS::IAM::Policy", {
    PolicyDocument: {
      Statement: Match.arrayWith([
        Match.objectLike({
          Sid: "Metrics",
          Condition: { StringEquals: { "cloudwatch:namespace": "VoiceS2S" } },
        }),
      ]),
    },
  });
});

test("only ECS reads secrets, and no variable holds one", () => {
  const may = actions("RolesExecution");
  const read = Object.keys(may).filter((sid) =>
    may[sid]!.actions.includes("secretsmanager:GetSecretValue"),
  );
  assert.deepEqual(read, ["Secrets", "ApiKeys", "Langfuse", "SessionStore", "BridgeKeys"]);
  for (const sid of read) assert.notEqual(may[sid]!.resource, '"*"');
  const names = container().Environment.map(
    (entry: any) => entry.Name ?? entry["Fn::If"]?.[1].Name,
  );
  for (const name of names)
    assert.doesNotMatch(name, /SECRET|PASSWORD|TOKEN|KEY|SESSION_STORE/, name);
  assert.ok(!names.includes("NOVA_AWS_ACCESS_KEY_ID"), "the task role signs");
});

test("the keys that are made here are 64 hexadecimal digits", () => {
  for (const name of ["SecretsStoreKey", "SecretsTicketKey"]) {
    const rule = raw.Resources[name].Properties.GenerateSecretString;
    assert.equal(rule.PasswordLength, 64);
    assert.ok(rule.ExcludeUppercase && rule.ExcludePunctuation && !rule.IncludeSpace);
    const left = [..."abcdefghijklmnopqrstuvwxyz0123456789"].filter(
      (c) => !rule.ExcludeCharacters.includes(c),
    );
    assert.equal(left.join(""), "abcdef0123456789");
    assert.equal(
      rule.RequireEachIncludedType,
      false,
      "or a kind that is excluded would be required",
    );
  }
});

test("roles are taken by the tasks of this account only", () => {
  for (const role of ["RolesTask", "RolesExecution", "BridgeTask"]) {
    const [statement] = raw.Resources[role].Properties.AssumeRolePolicyDocument.Statement;
    assert.deepEqual(statement.Condition.StringEquals, {
      "aws:SourceAccount": { Ref: "AWS::AccountId" },
    });
    assert.ok(statement.Condition.ArnLike["aws:SourceArn"]);
  }
});

test("what was said is encrypted, private, and gone after its time", () => {
  const bucket = raw.Resources.StorageSessions;
  assert.equal(bucket.DeletionPolicy, "Retain");
  const { BucketEncryption, PublicAccessBlockConfiguration, LifecycleConfiguration } =
    bucket.Properties;
  const [rule] = BucketEncryption.ServerSideEncryptionConfiguration;
  assert.equal(rule.ServerSideEncryptionByDefault.SSEAlgorithm, "aws:kms");
  assert.equal(rule.BucketKeyEnabled, true);
  assert.deepEqual(new Set(Object.values(PublicAccessBlockConfiguration)), new Set([true]));
  assert.deepEqual(LifecycleConfiguration.Rules[0].ExpirationInDays, { Ref: "SessionLogDays" });
  template.hasResourceProperties("AWS::S3::BucketPolicy", {
    Bucket: { Ref: "StorageSessions" },
    PolicyDocument: {
      Statement: Match.arrayWith([
        Match.objectLike({
          Effect: "Deny",
          Condition: { Bool: { "aws:SecureTransport": "false" } },
        }),
      ]),
    },
  });
  assert.equal(raw.Resources.Key.DeletionPolicy, "Retain", "without it the logs cannot be read");
});

test("both ways of scaling are there, with their numbers, and one of them is in force", () => {
  const defaults = ["RequestsOut", "RequestsIn", "ConnectionsOut", "ConnectionsIn", "MinTasks"].map(
    (name) => parameter(name).Default,
  );
  assert.deepEqual(defaults, ["500", "100", "50", "10", "2"]);
  const conditions = Object.values(
    template.findResources("AWS::ApplicationAutoScaling::ScalingPolicy"),
  )
    .map((policy) => policy.Condition)
    .filter((condition) => condition !== "HasBridge");
  assert.deepEqual(conditions.sort(), [
    "ScaleBySessions",
    "ScaleBySessions",
    "ScaleByThresholds",
    "ScaleByThresholds",
  ]);
  template.hasResourceProperties("AWS::ApplicationAutoScaling::ScalingPolicy", {
    TargetTrackingScalingPolicyConfiguration: {
      TargetValue: { Ref: "CallsPerTask" },
      ScaleOutCooldown: 60,
      ScaleInCooldown: 900,
      CustomizedMetricSpecification: {
        Metrics: Match.arrayWith([
          Match.objectLike({ Expression: "calls / tasks", ReturnData: true }),
        ]),
      },
    },
  });
  // A burst is seen at a resolution below a minute.
  template.hasResourceProperties("AWS::CloudWatch::Alarm", {
    MetricName: "CapacityUsed",
    Period: 10,
    Threshold: { Ref: "BurstCapacity" },
  });
});

test("a metric's name comes from the one list", () => {
  const names = new Set<string>();
  const walk = (value: any): void => {
    if (value?.Namespace === NAMESPACE) names.add(value.MetricName);
    if (value && typeof value === "object") Object.values(value).forEach(walk);
  };
  walk(raw.Resources);
  for (const name of names) assert.ok(Object.values<string>(NAMES).includes(name), name);
  assert.ok(names.size >= 6, [...names].join());
});

test("each promise has a quick and a slow burn, each over two windows", () => {
  const composite = template.findResources("AWS::CloudWatch::CompositeAlarm");
  assert.deepEqual(Object.keys(composite).sort(), [
    "AlarmsCallDropFast",
    "AlarmsCallDropSlow",
    "AlarmsCallSetupFast",
    "AlarmsCallSetupSlow",
  ]);
  const threshold = (name: string) => raw.Resources[name].Properties.Threshold;
  assert.equal(threshold("AlarmsCallSetupFast60"), 1.44);
  assert.equal(threshold("AlarmsCallSetupFast5"), 1.44);
  assert.equal(threshold("AlarmsCallDropSlow360"), 0.6);
  assert.equal(threshold("AlarmsCallDropSlow30"), 0.6);
});

test("the firewall counts per address and its log shows no ticket", () => {
  const [acl] = Object.values(template.findResources("AWS::WAFv2::WebACL"));
  const rates = acl!.Properties.Rules.filter((rule: any) => rule.Statement.RateBasedStatement);
  assert.deepEqual(
    rates.map((rule: any) => rule.Statement.RateBasedStatement.Limit),
    [{ Ref: "UpgradesPerAddress" }, { Ref: "RequestsPerAddress" }],
  );
  template.hasResourceProperties("AWS::WAFv2::LoggingConfiguration", {
    RedactedFields: Match.arrayWith([
      { QueryString: {} },
      { SingleHeader: { Name: "sec-websocket-protocol" } },
    ]),
  });
});

test("a public service without authentication is refused before anything is made", () => {
  assert.ok(raw.Rules.SomebodyIsAsked && raw.Rules.CertificateOrZone && raw.Rules.SubnetsGoWithVpc);
});

test("Connect may play the prompts of its own instance, and nobody is let in without one", () => {
  const parts = Object.entries<any>(raw.Resources).filter(([name]) => name.startsWith("Connect"));
  assert.ok(parts.length >= 4);
  for (const [name, part] of parts) assert.equal(part.Condition, "HasConnect", name);
  const statements = raw.Resources.ConnectPromptsPolicy.Properties.PolicyDocument.Statement;
  const connect = statements.find((statement: any) => statement.Sid === "ConnectPrompts");
  assert.deepEqual(connect.Condition.StringEquals, {
    "aws:SourceAccount": { Ref: "AWS::AccountId" },
    "aws:SourceArn": { Ref: "ConnectInstanceArn" },
  });
});

test("the functions of the phone may write their log and nothing else, and one instance may invoke them", () => {
  const parts = Object.entries<any>(raw.Resources).filter(([name]) => name.startsWith("Phone"));
  for (const [name, part] of parts) {
    const isRule = part.Type === "AWS::EC2::SecurityGroupEgress";
    assert.equal(part.Condition, isRule ? "HasOtherBridge" : "HasFunctions", name);
  }
  const of = (type: string) => parts.map(([, part]) => part).filter((part) => part.Type === type);
  const functions = of("AWS::Lambda::Function").map((part) => part.Properties);
  assert.equal(functions.length, 2);
  for (const has of functions) {
    assert.equal(has.Runtime, "provided.al2023");
    assert.ok(has.Timeout > 8, "Lambda's own default of 3 s is less than a turn takes");
    assert.match(JSON.stringify(has.Code.S3Key), /(start-bot-session|process-bot-turn)\.zip/);
    assert.match(JSON.stringify(has.Environment.Variables.BRIDGE_KEY), /resolve:secretsmanager/);
  }
  const allowed = of("AWS::IAM::Policy").flatMap(
    (part) => part.Properties.PolicyDocument.Statement,
  );
  assert.deepEqual([...new Set(allowed.flatMap((statement: any) => statement.Action))].sort(), [
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
  ]);
  const invokers = of("AWS::Lambda::Permission").map((part) => part.Properties);
  assert.equal(invokers.length, 2);
  for (const has of invokers) {
    assert.equal(has.Principal, "connect.amazonaws.com");
    assert.deepEqual(has.SourceAccount, { Ref: "AWS::AccountId" });
    assert.deepEqual(has.SourceArn, { Ref: "ConnectInstanceArn" });
  }
  const associations = of("AWS::Connect::IntegrationAssociation").map((part) => part.Properties);
  assert.deepEqual(
    associations.map((has) => has.IntegrationType),
    ["LAMBDA_FUNCTION", "LAMBDA_FUNCTION"],
  );
  assert.ok(raw.Rules.FunctionsAreWhole);
});

test("the audio bridge is there with the functions, unless there is another one", () => {
  const parts = Object.entries<any>(raw.Resources).filter(([name]) => name.startsWith("Bridge"));
  for (const [name, part] of parts)
    assert.equal(part.Condition, name === "BridgePolly" ? "BridgeHasPolly" : "HasBridge", name);
  const all = JSON.stringify(raw.Conditions.HasBridge["Fn::And"]);
  assert.deepEqual(
    [...all.matchAll(/"Ref":"(\w+)"/g)].map((match) => match[1]),
    ["ConnectInstanceArn", "FunctionBucket", "BridgeUrl"],
  );
  assert.ok(raw.Rules.BridgeIsWhole);

  const { Image, Command, StopTimeout, HealthCheck, ReadonlyRootFilesystem, User, Secrets } =
    container("BridgeDefinition");
  assert.deepEqual([Image, Command], [{ Ref: "ImageUri" }, ["bridge"]]);
  assert.deepEqual([ReadonlyRootFilesystem, User], [true, "10001:10001"]);
  assert.equal(StopTimeout, 120, "calls get SHUTDOWN_GRACE to end");
  assert.deepEqual(HealthCheck.Command.slice(-3), ["healthcheck", "--port", "8081"]);
  assert.deepEqual(
    Object.fromEntries(Secrets.map((secret: any) => [secret.Name, secret.ValueFrom.Ref])),
    { BRIDGE_KEY: "BridgeKeyArn", BRIDGE_SERVER_KEY: "BridgeServerKeyArn" },
  );
  template.hasResourceProperties("AWS::ApplicationAutoScaling::ScalableTarget", {
    MinCapacity: { Ref: "BridgeTasks" },
    MaxCapacity: { Ref: "BridgeMaxTasks" },
  });
  assert.equal(parameter("BridgeTasks").Default, "2");
});

test("who phones and gets no assistant wakes somebody", () => {
  for (const [name, theirs] of [
    ["PhoneLost", { MetricName: "LostCallers", Statistic: "Sum", Period: 300, Threshold: 2 }],
    ["BridgeNoTask", { MetricName: "RunningTaskCount", Period: 60, Threshold: 1 }],
  ] as const) {
    const has = raw.Resources[name].Properties;
    for (const [key, value] of Object.entries(theirs)) assert.equal(has[key], value, key);
    assert.deepEqual(has.AlarmActions, [{ Ref: "AlarmsTopic" }]);
  }
  // The metric is counted from what the functions write when they give up.
  const filters = Object.values(template.findResources("AWS::Logs::MetricFilter"));
  assert.equal(filters.length, 2);
  for (const { Properties } of filters as any[]) {
    assert.equal(Properties.FilterPattern, '{ $.level = "ERROR" }');
    const [made] = Properties.MetricTransformations;
    assert.deepEqual(
      [made.MetricNamespace, made.MetricName],
      [raw.Resources.PhoneLost.Properties.Namespace, "LostCallers"],
    );
  }
  // 200 calls of a task keep a core busy for a quarter of the time.
  const aim = raw.Resources.BridgeTrack.Properties.TargetTrackingScalingPolicyConfiguration;
  assert.equal(aim.TargetValue, 15);
});

test("the audio bridge hears callers and leaves prompts, and may do nothing else", () => {
  const may = actions("BridgeTask");
  assert.deepEqual(
    Object.fromEntries(Object.entries(may).map(([sid, { actions }]) => [sid, actions])),
    {
      CallerAudio: ["kinesisvideo:GetDataEndpoint", "kinesisvideo:GetMedia"],
      CallerAudioKey: ["kms:Decrypt"],
      Prompts: ["s3:PutObject"],
      Speech: ["polly:SynthesizeSpeech"],
    },
  );
  const everywhere = Object.keys(may).filter((sid) => may[sid]!.resource === '"*"');
  assert.deepEqual(everywhere, ["Speech"], "Polly knows no resource");
  assert.match(may.CallerAudio!.resource, /:stream\/.*AWS::StackName.*\*\/\*/);
  const { ManagedPolicyArns, Policies } = raw.Resources.BridgeTask.Properties;
  assert.deepEqual([ManagedPolicyArns, Policies], [undefined, undefined]);
});

test("the functions find any task of the bridge by a name, and each task by its address", () => {
  const { DnsConfig, HealthCheckCustomConfig } = raw.Resources.BridgeName.Properties;
  assert.deepEqual(DnsConfig.DnsRecords, [{ Type: "A", TTL: 5 }]);
  assert.equal(DnsConfig.RoutingPolicy, "MULTIVALUE");
  assert.ok(HealthCheckCustomConfig, "without it tasks that fail their check are listed");
  assert.deepEqual(raw.Resources.BridgeService.Properties.ServiceRegistries, [
    { RegistryArn: { "Fn::GetAtt": ["BridgeName", "Arn"] } },
  ]);
  for (const name of ["PhoneStartBotSession", "PhoneProcessBotTurn"]) {
    const [condition, ours, theirs] =
      raw.Resources[name].Properties.Environment.Variables.BRIDGE_URL["Fn::If"];
    assert.equal(condition, "HasBridge");
    assert.match(JSON.stringify(ours), /http:\/\/bridge\..*AWS::StackName.*\.internal:8081/);
    assert.deepEqual(theirs, { Ref: "BridgeUrl" });
  }
  // A task that names another address than its own would send the functions elsewhere.
  const names = container("BridgeDefinition").Environment.map((entry: any) => entry.Name);
  assert.ok(names.includes("BRIDGE_HOST") && !names.includes("BRIDGE_ADVERTISE"));
  const [way] = Object.values(
    template.findResources("AWS::EC2::SecurityGroupIngress", {
      Properties: { SourceSecurityGroupId: { "Fn::GetAtt": ["PhoneAccess", "GroupId"] } },
    }),
  );
  assert.deepEqual(way!.Properties.GroupId, { "Fn::GetAtt": ["BridgeAccess", "GroupId"] });
});

test("the bridge is in a cluster of its own: `deploy/release` takes the first service of the stack's", () => {
  const clusters = Object.values(template.findResources("AWS::ECS::Service")).map(
    (service) => service.Properties.Cluster.Ref,
  );
  assert.deepEqual(clusters.sort(), ["BridgeCluster", "ServiceCluster"]);
});

test("callers on the phone are not counted as one address that calls too often", () => {
  const calls = raw.Resources.Firewall.Properties.Rules.find((rule: any) => rule.Name === "Calls");
  const [condition, known, unknown] =
    calls.Statement.RateBasedStatement.ScopeDownStatement["Fn::If"];
  assert.equal(condition, "BridgeIsKnown");
  const [toCalls, notByBridge] = known.AndStatement.Statements;
  assert.deepEqual(toCalls, unknown);
  assert.deepEqual(notByBridge.NotStatement.Statement.IPSetReferenceStatement.Arn, {
    "Fn::GetAtt": ["FirewallBridge", "Arn"],
  });
  const { Addresses } = raw.Resources.FirewallBridge.Properties;
  assert.deepEqual(Addresses["Fn::If"][2], { Ref: "NatAddresses" });
  assert.equal(Addresses["Fn::If"][1].length, 2, "one for each NAT gateway that is made");
});
