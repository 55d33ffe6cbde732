/**
 * What an operator chooses, with the defaults that are recommended, and the conditions that follow.
 *
 * Read by every part. A parameter without a default has to be given; there is one, the image.
 */
import { Aws, CfnCondition, CfnParameter, CfnRule, Fn, type Stack } from "aws-cdk-lib";

type Choice = string[];

/** Pairs that Fargate has and that make sense here: a call needs little memory. */
const SIZES = ["1024/2048", "1024/4096", "2048/4096", "2048/8192", "4096/8192", "4096/16384"];

/** Days that CloudWatch Logs can keep a log. */
const RETENTION = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653];

/** The parameters of the stack. Values are tokens: CloudFormation fills them in. */
export class Parameters {
  private readonly groups: { Label: { default: string }; Parameters: string[] }[] = [];
  private readonly stack: Stack;

  readonly image: string;
  readonly architecture: string;
  readonly taskCpu: string;
  readonly taskMemory: string;
  readonly maxCalls: string;
  readonly environment: string;

  readonly vpcId: string;
  readonly vpcCidr: string;
  readonly publicSubnetIds: string[];
  readonly privateSubnetIds: string[];
  readonly createNetwork: CfnCondition;

  readonly domainName: string;
  readonly hostedZoneId: string;
  readonly certificateArn: string;
  readonly hasDomain: CfnCondition;
  readonly hasZone: CfnCondition;
  readonly makeCertificate: CfnCondition;

  readonly idleTimeout: string;
  readonly deregistrationDelay: string;
  readonly stickiness: string;
  readonly stickinessSeconds: string;
  readonly accessLogBucket: string;
  readonly hasAccessLogs: CfnCondition;
  readonly deletionProtection: string;
  readonly upgradesPerAddress: number;
  readonly requestsPerAddress: number;

  readonly novaRegion: string;
  readonly novaModelId: string;
  readonly transcribe: string;
  readonly recording: string;
  readonly toolHttpHosts: string;
  readonly toolLambdaArns: string[];
  readonly knowledgeBaseArns: string[];
  readonly hasToolLambdas: CfnCondition;
  readonly hasKnowledgeBases: CfnCondition;

  readonly apiKeysArn: string;
  readonly hasApiKeys: CfnCondition;
  readonly jwtIssuer: string;
  readonly jwtAudience: string;
  readonly jwtRolesClaim: string;
  readonly jwtJwksUrl: string;
  readonly hasJwksUrl: CfnCondition;
  readonly hasJwt: CfnCondition;
  readonly allowedOrigins: string;
  readonly hasOrigins: CfnCondition;
  readonly langfuseArn: string;
  readonly hasLangfuse: CfnCondition;

  readonly sessionLogDays: number;
  readonly logDays: number;
  readonly hasCache: CfnCondition;
  readonly cacheNodeType: string;

  readonly scaleBySessions: CfnCondition;
  readonly scaleByThresholds: CfnCondition;
  readonly minTasks: number;
  readonly maxTasks: number;
  readonly callsPerTask: number;
  readonly burstCapacity: number;
  readonly requestsOut: number;
  readonly requestsIn: number;
  readonly connectionsOut: number;
  readonly connectionsIn: number;

  readonly alarmEmail: string;
  readonly hasAlarmEmail: CfnCondition;
  readonly connectInstanceArn: string;
  readonly hasConnect: CfnCondition;

  constructor(stack: Stack) {
    this.stack = stack;

    this.group("The task");
    this.image = this.text("ImageUri", "The image, best by digest; `deploy/push` prints it");
    this.architecture = this.text("CpuArchitecture", "Kind of processor; the image has both",
      "X86_64", { oneOf: ["X86_64", "ARM64"] });
    const size = this.text("TaskSize", "CPU units and MiB of memory; 1024 units are one core",
      "1024/2048", { oneOf: SIZES });
    this.taskCpu = Fn.select(0, Fn.split("/", size));
    this.taskMemory = Fn.select(1, Fn.split("/", size));
    this.maxCalls = this.text("MaxCalls", "Most calls of one task; 200 per core is the program's own"
      + " default", "200", { pattern: "[1-9][0-9]*" });
    this.environment = this.text("EnvironmentName", "Dimension `Environment` of every metric",
      "production", { pattern: "[A-Za-z0-9._-]+" });

    this.group("The network");
    this.vpcId = this.text("VpcId", "A VPC that is there; empty: one is made, with two zones and a"
      + " NAT gateway in each", "");
    this.vpcCidr = this.text("VpcCidr", "Addresses of the VPC, of the new one or of that which is"
      + " there: X-Forwarded-For is believed from there", "10.64.0.0/16",
      { pattern: "[0-9.]+/[0-9]+" });
    this.publicSubnetIds = this.list("PublicSubnetIds", "Of a VPC that is there: two or more, for the"
      + " load balancer");
    this.privateSubnetIds = this.list("PrivateSubnetIds", "Of a VPC that is there: two or more, with a"
      + " way to the internet, for the tasks");
    this.createNetwork = this.when("CreateNetwork", this.empty(this.vpcId));

    this.group("The address");
    this.domainName = this.text("DomainName", "Host name of the service, such as voice.example.com", "");
    this.hostedZoneId = this.text("HostedZoneId", "Route 53 zone that gets a record of that name;"
      + " empty: none is made", "");
    this.certificateArn = this.text("CertificateArn", "ACM certificate for that name; empty: one is"
      + " made and validated in the zone", "");
    this.hasDomain = this.unless("HasDomain", this.empty(this.domainName));
    this.hasZone = this.when("HasZone", Fn.conditionAnd(
      Fn.conditionNot(this.empty(this.hostedZoneId)), Fn.conditionNot(this.empty(this.domainName))));
    this.makeCertificate = this.when("MakeCertificate", this.empty(this.certificateArn));

    this.group("The load balancer");
    // 3600 is what the original plan had; a server that pings needs no such patience with the dead.
    this.idleTimeout = this.text("IdleTimeout", "Seconds without a byte after which the balancer"
      + " closes a connection; the server pings every 20", "120",
      { pattern: "[1-9][0-9]{0,2}|[1-3][0-9]{3}|4000" });
    this.deregistrationDelay = this.text("DeregistrationDelay", "Seconds that calls get to end when"
      + " their task is replaced", "3600", { pattern: "[0-9]{1,3}|[12][0-9]{3}|3[0-5][0-9]{2}|3600" });
    this.stickiness = this.text("Stickiness", "Cookie of the balancer. Without effect on a WebSocket"
      + " that is open, and it leads clients back to a task that is about to go: leave it off",
      "false", { oneOf: ["true", "false"] });
    this.stickinessSeconds = this.text("StickinessSeconds", "How long the cookie is good", "3600",
      { pattern: "[1-9][0-9]{0,5}" });
    this.accessLogBucket = this.text("AccessLogBucket", "Bucket for the balancer's access logs; empty:"
      + " none. They contain the query of /sonic, and so tokens of calls (good once)", "");
    this.hasAccessLogs = this.unless("HasAccessLogs", this.empty(this.accessLogBucket));
    this.deletionProtection = this.text("DeletionProtection", "Whether the balancer refuses to be"
      + " deleted", "false", { oneOf: ["true", "false"] });
    this.upgradesPerAddress = this.number("UpgradesPerAddress", "Most requests to /sonic of one"
      + " address in five minutes", 100, 10);
    this.requestsPerAddress = this.number("RequestsPerAddress", "Most requests of any kind of one"
      + " address in five minutes", 2000, 10);

    this.group("The conversation");
    this.novaRegion = this.text("NovaRegion", "Region of Amazon Nova Sonic; it need not be the stack's",
      "us-east-1", { pattern: "[a-z]{2}(-[a-z]+)+-[0-9]" });
    this.novaModelId = this.text("NovaModelId", "Model id", "amazon.nova-2-sonic-v1:0");
    this.transcribe = this.text("Transcribe", "Whose words Amazon Transcribe hears as well", "off",
      { oneOf: ["off", "caller", "both"] });
    this.recording = this.text("Recording", "Whether calls are recorded whose persona does not say",
      "off", { oneOf: ["on", "off"] });
    this.toolHttpHosts = this.text("ToolHttpHosts", "Public hosts that tools may call over HTTPS,"
      + " separated by commas", "");
    this.toolLambdaArns = this.list("ToolLambdaArns", "Functions that tools may call");
    this.knowledgeBaseArns = this.list("KnowledgeBaseArns", "Knowledge bases that tools may ask");
    this.hasToolLambdas = this.unless("HasToolLambdas", this.none(this.toolLambdaArns));
    this.hasKnowledgeBases = this.unless("HasKnowledgeBases", this.none(this.knowledgeBaseArns));

    this.group("Who may call");
    this.apiKeysArn = this.text("ApiKeysArn", "Secret whose text is API_KEYS, entries that"
      + " `voice-s2s key` prints; empty: none", "");
    this.hasApiKeys = this.unless("HasApiKeys", this.empty(this.apiKeysArn));
    this.jwtIssuer = this.text("JwtIssuer", "Issuer of JSON Web Tokens, such as a Cognito user pool;"
      + " empty: none", "");
    this.jwtAudience = this.text("JwtAudience", "Their audience, for Cognito the id of the app client",
      "");
    this.jwtRolesClaim = this.text("JwtRolesClaim", "Their claim that lists roles; for Cognito"
      + " cognito:groups", "roles");
    this.jwtJwksUrl = this.text("JwtJwksUrl", "Where the issuer's keys are; empty: where OpenID says",
      "");
    this.hasJwt = this.unless("HasJwt", this.empty(this.jwtIssuer));
    this.hasJwksUrl = this.unless("HasJwksUrl", this.empty(this.jwtJwksUrl));
    this.allowedOrigins = this.text("AllowedOrigins", "Origins of pages that may call, separated by"
      + " commas; empty: the service's own", "");
    this.hasOrigins = this.unless("HasOrigins", this.empty(this.allowedOrigins));
    this.langfuseArn = this.text("LangfuseArn", "Secret with the JSON keys PUBLIC_KEY,"
      + " SECRET_KEY and HOST; empty: no Langfuse", "");
    this.hasLangfuse = this.unless("HasLangfuse", this.empty(this.langfuseArn));

    this.group("What is kept");
    this.sessionLogDays = this.number("SessionLogDays", "Days that session logs and recordings are"
      + " kept", 90, 1);
    this.logDays = this.number("LogDays", "Days that the program's log is kept", 30, 1,
      RETENTION.map(String));
    const store = this.text("SessionStore", "Where the state of calls is kept so that they go on at"
      + " another task when theirs has died", "valkey", { oneOf: ["valkey", "none"] });
    this.hasCache = this.unless("HasCache", Fn.conditionEquals(store, "none"));
    this.cacheNodeType = this.text("CacheNodeType", "Size of its two nodes", "cache.t4g.small");

    this.group("How many tasks");
    const mode = this.text("ScalingMode", "`sessions`: as many tasks as the calls need. `thresholds`:"
      + " one more or less at the four thresholds below", "sessions",
      { oneOf: ["sessions", "thresholds"] });
    this.scaleBySessions = this.when("ScaleBySessions", Fn.conditionEquals(mode, "sessions"));
    this.scaleByThresholds = this.when("ScaleByThresholds", Fn.conditionEquals(mode, "thresholds"));
    this.minTasks = this.number("MinTasks", "Fewest tasks", 2, 1);
    this.maxTasks = this.number("MaxTasks", "Most tasks", 10, 1);
    this.callsPerTask = this.number("CallsPerTask", "sessions: calls of a task that are aimed at; 60 %"
      + " of MaxCalls", 120, 1);
    this.burstCapacity = this.number("BurstCapacity", "sessions: per cent of MaxCalls in use at which"
      + " half as many tasks again are added at once", 85, 1);
    this.requestsOut = this.number("RequestsOut", "thresholds: requests per target and minute above"
      + " which a task is added", 500, 1);
    this.requestsIn = this.number("RequestsIn", "thresholds: requests per target and minute below"
      + " which a task is taken away", 100, 0);
    this.connectionsOut = this.number("ConnectionsOut", "thresholds: connections per task above which"
      + " a task is added", 50, 1);
    this.connectionsIn = this.number("ConnectionsIn", "thresholds: connections per task below which a"
      + " task is taken away", 10, 0);

    this.group("Who is told, and the phone");
    this.alarmEmail = this.text("AlarmEmail", "Who gets the alarms; empty: nobody, they show only", "");
    this.hasAlarmEmail = this.unless("HasAlarmEmail", this.empty(this.alarmEmail));
    this.connectInstanceArn = this.text("ConnectInstanceArn", "Amazon Connect instance whose media are"
      + " streamed; empty: no phone", "");
    this.hasConnect = this.unless("HasConnect", this.empty(this.connectInstanceArn));

    stack.templateOptions.metadata = {
      "AWS::CloudFormation::Interface": { ParameterGroups: this.groups },
    };
    this.rules();
  }

  /** Value of METRICS_SERVICE: the stack's name. */
  get serviceName(): string {
    return Aws.STACK_NAME;
  }

  /** What CloudFormation refuses before it makes anything. */
  private rules(): void {
    const given = (value: string) => Fn.conditionNot(Fn.conditionEquals(value, ""));
    new CfnRule(this.stack, "SubnetsGoWithVpc", {
      ruleCondition: given(this.vpcId),
      assertions: [{
        assert: Fn.conditionAnd(
          Fn.conditionNot(Fn.conditionContains(this.publicSubnetIds, "")),
          Fn.conditionNot(Fn.conditionContains(this.privateSubnetIds, "")),
        ),
        assertDescription: "VpcId needs PublicSubnetIds and PrivateSubnetIds",
      }],
    });
    new CfnRule(this.stack, "CertificateOrZone", {
      assertions: [{
        assert: Fn.conditionOr(
          given(this.certificateArn),
          Fn.conditionAnd(given(this.hostedZoneId), given(this.domainName)),
        ),
        assertDescription: "HTTPS needs CertificateArn, or DomainName and HostedZoneId to make one",
      }],
    });
    new CfnRule(this.stack, "SomebodyIsAsked", {
      assertions: [{
        assert: Fn.conditionOr(given(this.apiKeysArn), given(this.jwtIssuer)),
        assertDescription: "A public address needs ApiKeysArn or JwtIssuer: whoever reaches it"
          + " spends your money",
      }],
    });
  }

  private group(label: string): void {
    this.groups.push({ Label: { default: label }, Parameters: [] });
  }

  private add(name: string): string {
    this.groups.at(-1)?.Parameters.push(name);
    return name;
  }

  private text(
    name: string, description: string, value?: string,
    rule: { oneOf?: Choice; pattern?: string } = {},
  ): string {
    return new CfnParameter(this.stack, this.add(name), {
      type: "String", description, default: value,
      allowedValues: rule.oneOf, allowedPattern: rule.pattern,
    }).valueAsString;
  }

  private list(name: string, description: string): string[] {
    return new CfnParameter(this.stack, this.add(name), {
      type: "CommaDelimitedList", description, default: "",
    }).valueAsList;
  }

  private number(
    name: string, description: string, value: number, least: number, oneOf?: Choice,
  ): number {
    return new CfnParameter(this.stack, this.add(name), {
      type: "Number", description, default: oneOf ? String(value) : value,
      minValue: oneOf ? undefined : least, allowedValues: oneOf,
    }).valueAsNumber;
  }

  private empty(value: string) {
    return Fn.conditionEquals(value, "");
  }

  private none(values: string[]) {
    return Fn.conditionEquals(Fn.join("", values), "");
  }

  private when(name: string, expression: ReturnType<typeof Fn.conditionEquals>): CfnCondition {
    return new CfnCondition(this.stack, name, { expression });
  }

  private unless(name: string, expression: ReturnType<typeof Fn.conditionEquals>): CfnCondition {
    return this.when(name, Fn.conditionNot(expression));
  }
}
