/**
 * What an operator chooses, with the defaults that are recommended; the conditions that follow; and
 * what is refused before anything is made. Read by every part.
 *
 * Values are tokens: CloudFormation fills them in. One has no default, the image.
 */
import { Aws, CfnCondition, CfnParameter, CfnRule, Fn, type Stack } from "aws-cdk-lib";

/** Pairs that Fargate has and that make sense here: a call needs little memory. */
const SIZES = ["1024/2048", "1024/4096", "2048/4096", "2048/8192", "4096/8192", "4096/16384"];

/** Days that CloudWatch Logs can keep a log. */
const RETENTION = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653];

/** The parameters, conditions included. */
export type Parameters = ReturnType<typeof parameters>;

/** Adds them to the stack. */
export function parameters(stack: Stack) {
  const { group, text, list, number, groups } = forms(stack);

  const given = {
    ...group("The task", {
      image: text("ImageUri", "The image, best by digest; `deploy/push` prints it"),
      architecture: text("CpuArchitecture", "Kind of processor; the image has both", "X86_64", {
        oneOf: ["X86_64", "ARM64"],
      }),
      size: text("TaskSize", "CPU units and MiB of memory; 1024 units are one core", "1024/2048", {
        oneOf: SIZES,
      }),
      maxCalls: text(
        "MaxCalls",
        "Most calls of one task; the program's own default is 200 per core",
        "200",
        { pattern: "[1-9][0-9]*" },
      ),
      environment: text(
        "EnvironmentName",
        "Dimension `Environment` of every metric",
        "production",
        {
          pattern: "[A-Za-z0-9._-]+",
        },
      ),
    }),

    ...group("The network", {
      vpcId: text(
        "VpcId",
        "A VPC that is there; empty: one is made, with two zones and a NAT gateway in each",
        "",
      ),
      vpcCidr: text(
        "VpcCidr",
        "Addresses of the VPC, new or not; X-Forwarded-For is believed when it comes from there",
        "10.64.0.0/16",
        { pattern: "[0-9.]+/[0-9]+" },
      ),
      publicSubnetIds: list(
        "PublicSubnetIds",
        "Of a VPC that is there: two or more, for the load balancer",
      ),
      privateSubnetIds: list(
        "PrivateSubnetIds",
        "Of a VPC that is there: two or more, with a way to the internet, for the tasks",
      ),
    }),

    ...group("The address", {
      domainName: text("DomainName", "Host name of the service, such as voice.example.com", ""),
      hostedZoneId: text(
        "HostedZoneId",
        "Route 53 zone that gets a record of that name; empty: none is made",
        "",
      ),
      certificateArn: text(
        "CertificateArn",
        "ACM certificate for that name; empty: one is made and validated in the zone",
        "",
      ),
    }),

    ...group("The load balancer", {
      // The first plan had 3600; a server that pings needs no such patience with the dead.
      idleTimeout: text(
        "IdleTimeout",
        "Seconds without a byte after which it closes a connection; the server pings every 20",
        "120",
        { pattern: "[1-9][0-9]{0,2}|[1-3][0-9]{3}|4000" },
      ),
      deregistrationDelay: text(
        "DeregistrationDelay",
        "Seconds that calls get to end when their task is replaced",
        "3600",
        { pattern: "[0-9]{1,3}|[12][0-9]{3}|3[0-5][0-9]{2}|3600" },
      ),
      stickiness: text(
        "Stickiness",
        "Its cookie. Without effect on a WebSocket that is open, and it leads clients back to a task" +
          " that is about to go: leave it off",
        "false",
        { oneOf: ["true", "false"] },
      ),
      stickinessSeconds: text("StickinessSeconds", "How long the cookie is good", "3600", {
        pattern: "[1-9][0-9]{0,5}",
      }),
      accessLogBucket: text(
        "AccessLogBucket",
        "Bucket for its access logs; empty: none. They contain the query of /sonic, and with it" +
          " tokens of calls (good once)",
        "",
      ),
      deletionProtection: text("DeletionProtection", "Whether it refuses to be deleted", "false", {
        oneOf: ["true", "false"],
      }),
      upgradesPerAddress: number(
        "UpgradesPerAddress",
        "Most requests to /sonic of one address in five minutes",
        100,
        { least: 10 },
      ),
      requestsPerAddress: number(
        "RequestsPerAddress",
        "Most requests of any kind of one address in five minutes",
        2000,
        { least: 10 },
      ),
    }),

    ...group("The conversation", {
      novaRegion: text(
        "NovaRegion",
        "Region of Amazon Nova Sonic; it need not be the stack's",
        "us-east-1",
        { pattern: "[a-z]{2}(-[a-z]+)+-[0-9]" },
      ),
      novaModelId: text("NovaModelId", "Model id", "amazon.nova-2-sonic-v1:0"),
      transcribe: text("Transcribe", "Whose words Amazon Transcribe hears as well", "off", {
        oneOf: ["off", "caller", "both"],
      }),
      recording: text("Recording", "Whether calls are recorded whose persona does not say", "off", {
        oneOf: ["on", "off"],
      }),
      toolHttpHosts: text(
        "ToolHttpHosts",
        "Public hosts that tools may call over HTTPS, separated by commas",
        "",
      ),
      toolLambdaArns: list("ToolLambdaArns", "Functions that tools may call"),
      knowledgeBaseArns: list("KnowledgeBaseArns", "Knowledge bases that tools may ask"),
    }),

    ...group("Who may call", {
      apiKeysArn: text(
        "ApiKeysArn",
        "Secret whose text is API_KEYS, entries that `voice-s2s key` prints; empty: none",
        "",
      ),
      jwtIssuer: text(
        "JwtIssuer",
        "Issuer of JSON Web Tokens, such as a Cognito user pool; empty: none",
        "",
      ),
      jwtAudience: text("JwtAudience", "Their audience, for Cognito the id of the app client", ""),
      jwtRolesClaim: text(
        "JwtRolesClaim",
        "Their claim that lists roles; for Cognito cognito:groups",
        "roles",
      ),
      jwtJwksUrl: text("JwtJwksUrl", "Where the issuer's keys are; empty: where OpenID says", ""),
      allowedOrigins: text(
        "AllowedOrigins",
        "Origins of pages that may call besides the service's own, separated by commas",
        "",
      ),
      langfuseArn: text(
        "LangfuseArn",
        "Secret with the JSON keys PUBLIC_KEY, SECRET_KEY and HOST; empty: no Langfuse",
        "",
      ),
    }),

    ...group("What is kept", {
      sessionLogDays: number(
        "SessionLogDays",
        "Days that session logs and recordings are kept",
        90,
        { least: 1 },
      ),
      logDays: number("LogDays", "Days that the program's log is kept", 30, { oneOf: RETENTION }),
      sessionStore: text(
        "SessionStore",
        "Where the state of calls is kept so that they go on at another task when theirs has died",
        "valkey",
        { oneOf: ["valkey", "none"] },
      ),
      cacheNodeType: text("CacheNodeType", "Size of its two nodes", "cache.t4g.small"),
    }),

    ...group("How many tasks", {
      scalingMode: text(
        "ScalingMode",
        "`sessions`: as many tasks as the calls need. `thresholds`: one more or less at the four" +
          " thresholds below",
        "sessions",
        { oneOf: ["sessions", "thresholds"] },
      ),
      minTasks: number("MinTasks", "Fewest tasks", 2, { least: 1 }),
      maxTasks: number("MaxTasks", "Most tasks", 10, { least: 1 }),
      callsPerTask: number(
        "CallsPerTask",
        "sessions: calls of a task that are aimed at; 60 % of MaxCalls",
        120,
        { least: 1 },
      ),
      burstCapacity: number(
        "BurstCapacity",
        "sessions: per cent of MaxCalls in use at which half as many tasks again are added at once",
        85,
        { least: 1 },
      ),
      requestsOut: number(
        "RequestsOut",
        "thresholds: requests per target and minute above which a task is added",
        500,
        { least: 1 },
      ),
      requestsIn: number(
        "RequestsIn",
        "thresholds: requests per target and minute below which one is taken away",
        100,
        { least: 0 },
      ),
      connectionsOut: number(
        "ConnectionsOut",
        "thresholds: connections per task above which a task is added",
        50,
        { least: 1 },
      ),
      connectionsIn: number(
        "ConnectionsIn",
        "thresholds: connections per task below which one is taken away",
        10,
        { least: 0 },
      ),
    }),

    ...group("Who is told, and the phone", {
      alarmEmail: text("AlarmEmail", "Who gets the alarms; empty: nobody, they show only", ""),
      connectInstanceArn: text(
        "ConnectInstanceArn",
        "Amazon Connect instance whose media are streamed; empty: no phone",
        "",
      ),
      bridgeUrl: text(
        "BridgeUrl",
        "Where the functions of the phone reach the audio bridge, such as" +
          " http://bridge.example.internal:8081; empty: there are no functions",
        "",
        { pattern: "|https?://[^/]+" },
      ),
      bridgeKeyArn: text(
        "BridgeKeyArn",
        "Secret whose text is BRIDGE_KEY, with which the functions sign",
        "",
      ),
      functionBucket: text(
        "FunctionBucket",
        "Bucket with start-bot-session.zip and process-bot-turn.zip; `deploy/functions` fills it",
        "",
      ),
      functionPrefix: text(
        "FunctionPrefix",
        "What stands before those names there, another one for each version",
        "",
      ),
    }),
  };

  stack.templateOptions.metadata = {
    "AWS::CloudFormation::Interface": { ParameterGroups: groups },
  };
  refuse(stack, given);
  return {
    ...given,
    ...conditions(stack, given),
    taskCpu: Fn.select(0, Fn.split("/", given.size)),
    taskMemory: Fn.select(1, Fn.split("/", given.size)),
    /** Value of METRICS_SERVICE: the stack's name. */
    serviceName: Aws.STACK_NAME,
  };
}

type Given = Record<
  | "vpcId"
  | "domainName"
  | "hostedZoneId"
  | "certificateArn"
  | "accessLogBucket"
  | "apiKeysArn"
  | "jwtIssuer"
  | "jwtJwksUrl"
  | "allowedOrigins"
  | "langfuseArn"
  | "sessionStore"
  | "scalingMode"
  | "alarmEmail"
  | "architecture"
  | "connectInstanceArn"
  | "bridgeUrl"
  | "bridgeKeyArn"
  | "functionBucket",
  string
> &
  Record<"publicSubnetIds" | "privateSubnetIds" | "toolLambdaArns" | "knowledgeBaseArns", string[]>;

const is = Fn.conditionEquals;
const filled = (value: string) => Fn.conditionNot(is(value, ""));
const anyOf = (values: string[]) => filled(Fn.join("", values));

/** What is there and what is not. */
function conditions(stack: Stack, given: Given) {
  const when = (id: string, expression: ReturnType<typeof is>) =>
    new CfnCondition(stack, id, { expression });
  return {
    createNetwork: when("CreateNetwork", is(given.vpcId, "")),
    hasDomain: when("HasDomain", filled(given.domainName)),
    hasZone: when("HasZone", Fn.conditionAnd(filled(given.hostedZoneId), filled(given.domainName))),
    makeCertificate: when("MakeCertificate", is(given.certificateArn, "")),
    hasAccessLogs: when("HasAccessLogs", filled(given.accessLogBucket)),
    hasToolLambdas: when("HasToolLambdas", anyOf(given.toolLambdaArns)),
    hasKnowledgeBases: when("HasKnowledgeBases", anyOf(given.knowledgeBaseArns)),
    hasApiKeys: when("HasApiKeys", filled(given.apiKeysArn)),
    hasJwt: when("HasJwt", filled(given.jwtIssuer)),
    hasJwksUrl: when("HasJwksUrl", filled(given.jwtJwksUrl)),
    hasOrigins: when("HasOrigins", filled(given.allowedOrigins)),
    hasLangfuse: when("HasLangfuse", filled(given.langfuseArn)),
    hasCache: when("HasCache", is(given.sessionStore, "valkey")),
    scaleBySessions: when("ScaleBySessions", is(given.scalingMode, "sessions")),
    scaleByThresholds: when("ScaleByThresholds", is(given.scalingMode, "thresholds")),
    hasAlarmEmail: when("HasAlarmEmail", filled(given.alarmEmail)),
    hasConnect: when("HasConnect", filled(given.connectInstanceArn)),
    hasFunctions: when(
      "HasFunctions",
      Fn.conditionAnd(filled(given.connectInstanceArn), filled(given.bridgeUrl)),
    ),
    isArm: when("IsArm", is(given.architecture, "ARM64")),
  };
}

/** What CloudFormation refuses before it makes anything. */
function refuse(stack: Stack, given: Given): void {
  const { conditionAnd: and, conditionOr: or, conditionNot: not, conditionContains: contains } = Fn;
  const demand = (id: string, assert: ReturnType<typeof is>, assertDescription: string) =>
    new CfnRule(stack, id, { assertions: [{ assert, assertDescription }] });

  demand(
    "SubnetsGoWithVpc",
    or(
      is(given.vpcId, ""),
      and(not(contains(given.publicSubnetIds, "")), not(contains(given.privateSubnetIds, ""))),
    ),
    "VpcId needs PublicSubnetIds and PrivateSubnetIds",
  );
  demand(
    "CertificateOrZone",
    or(filled(given.certificateArn), and(filled(given.hostedZoneId), filled(given.domainName))),
    "HTTPS needs CertificateArn, or DomainName and HostedZoneId to make one",
  );
  demand(
    "FunctionsAreWhole",
    or(
      is(given.bridgeUrl, ""),
      and(
        filled(given.connectInstanceArn),
        filled(given.bridgeKeyArn),
        filled(given.functionBucket),
      ),
    ),
    "BridgeUrl needs ConnectInstanceArn, BridgeKeyArn and FunctionBucket",
  );
  demand(
    "SomebodyIsAsked",
    or(filled(given.apiKeysArn), filled(given.jwtIssuer)),
    "A public address needs ApiKeysArn or JwtIssuer: whoever reaches it spends your money",
  );
}

/** How a parameter is written down, and which group of the console it belongs to. */
function forms(stack: Stack) {
  const groups: { Label: { default: string }; Parameters: string[] }[] = [];
  let names: string[] = [];
  const add = (name: string) => {
    names.push(name);
    return name;
  };
  return {
    groups,
    /** Closes a group: what was added since the last one. */
    group<Fields>(label: string, fields: Fields): Fields {
      groups.push({ Label: { default: label }, Parameters: names });
      names = [];
      return fields;
    },
    text(
      name: string,
      description: string,
      value?: string,
      rule: { oneOf?: string[]; pattern?: string } = {},
    ): string {
      return new CfnParameter(stack, add(name), {
        type: "String",
        description,
        default: value,
        allowedValues: rule.oneOf,
        allowedPattern: rule.pattern,
      }).valueAsString;
    },
    list(name: string, description: string): string[] {
      return new CfnParameter(stack, add(name), {
        type: "CommaDelimitedList",
        description,
        default: "",
      }).valueAsList;
    },
    number(
      name: string,
      description: string,
      value: number,
      rule: { least?: number; oneOf?: number[] },
    ): number {
      return new CfnParameter(stack, add(name), {
        type: "Number",
        description,
        default: String(value),
        minValue: rule.least,
        allowedValues: rule.oneOf?.map(String),
      }).valueAsNumber;
    },
  };
}
