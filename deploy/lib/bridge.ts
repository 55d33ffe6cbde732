/**
 * The audio bridge: callers of Amazon Connect as clients of the server. A service of its own, from
 * the server's image.
 *
 * No load balancer. A call belongs to the task that began it, and the functions ask that task by its
 * address. Any task will do for a new call or for one whose task is gone, and those are behind one
 * name in a private zone of the VPC: Cloud Map lists a task when it is healthy and takes it out before
 * it gets SIGTERM. Only when it is said where the functions are, and not where another bridge is.
 */
import {
  Aws,
  aws_applicationautoscaling as scaling,
  aws_cloudwatch as cw,
  aws_ec2 as ec2,
  aws_ecs as ecs,
  aws_iam as iam,
  aws_logs as logs,
  aws_servicediscovery as discovery,
  CfnOutput,
  Duration,
  Fn,
  RemovalPolicy,
} from "aws-cdk-lib";
import { Construct } from "constructs";

import { Way } from "./access.ts";
import type { Alarms } from "./alarms.ts";
import { type ConnectHook, SPEECH } from "./connect.ts";
import { container } from "./container.ts";
import type { EncryptionKey } from "./key.ts";
import type { Network } from "./network.ts";
import { onlyIf, WaitFor } from "./only.ts";
import type { Parameters } from "./parameters.ts";
import type { Roles } from "./roles.ts";

/** Where a task listens. */
const PORT = 8081;
/** What any task is called in the private zone. */
const NAME = "bridge";
/** Seconds after which the functions look up again which tasks there are. */
const NAME_SECONDS = 5;
/**
 * Per cent of a core's time that is aimed at: 120 of the 200 calls that a task takes. Those 200 need a
 * quarter of a core (docs/OPERATIONS.md), so that a higher aim would never be reached.
 */
const BUSY = 15;

interface BridgeProps {
  given: Parameters;
  network: Network;
  connect: ConnectHook;
  roles: Roles;
  key: EncryptionKey;
  alarms: Alarms;
}

/** Name, role, log, service and its scaling. */
export class Bridge extends Construct {
  /** Where any of the tasks is reached. */
  readonly url: string;
  private readonly access: ec2.SecurityGroup;
  private readonly given: Parameters;

  constructor(scope: Construct, id: string, props: BridgeProps) {
    super(scope, id);
    const { given, network, roles, key } = props;
    this.given = given;
    this.access = new ec2.SecurityGroup(this, "Access", {
      vpc: network.vpc,
      description: "The functions of the phone to the audio bridge",
      allowAllOutbound: false,
    });
    // The server's load balancer has public addresses alone.
    this.access.addEgressRule(
      ec2.Peer.anyIpv4(),
      ec2.Port.tcp(443),
      "AWS and the load balancer of the server",
    );

    const log = new logs.LogGroup(this, "Log", {
      retention: given.logDays,
      encryptionKey: key.key,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const [role, may] = this.role(props);
    const start = this.executionMay(roles.execution, log);
    const name = this.name(network);
    this.url = `http://${NAME}.${Aws.STACK_NAME}.internal:${PORT}`;

    // Not the server's cluster: `deploy/release` and scale-in protection are about that one's tasks.
    const cluster = new ecs.CfnCluster(this, "Cluster", {
      clusterName: `${Aws.STACK_NAME}-bridge`,
      clusterSettings: [{ name: "containerInsights", value: "enabled" }],
    });
    const service = new ecs.CfnService(this, "Service", {
      cluster: cluster.ref,
      taskDefinition: this.taskDefinition(props, role, log).ref,
      launchType: "FARGATE",
      platformVersion: "LATEST",
      // No desired count: it would undo what scaling has done at every update.
      enableExecuteCommand: false,
      propagateTags: "SERVICE",
      deploymentConfiguration: {
        minimumHealthyPercent: 100,
        maximumPercent: 200,
        deploymentCircuitBreaker: { enable: true, rollback: true },
      },
      networkConfiguration: {
        awsvpcConfiguration: {
          assignPublicIp: "DISABLED",
          subnets: network.privateSubnetIds,
          securityGroups: [this.access.securityGroupId],
        },
      },
      serviceRegistries: [{ registryArn: name.attrArn }],
    });
    new WaitFor(this, "Ready", service, [...network.ways, ...roles.policies, may, start]);
    this.scale(cluster.ref, service.attrName);
    props.alarms.ringing(this, "NoTask", {
      alarmDescription: "No audio bridge runs: who phones gets a human",
      metric: new cw.Metric({
        namespace: "ECS/ContainerInsights",
        metricName: "RunningTaskCount",
        dimensionsMap: { ClusterName: cluster.ref, ServiceName: service.attrName },
        statistic: "Maximum",
        period: Duration.minutes(1),
      }),
      threshold: 1,
      comparisonOperator: cw.ComparisonOperator.LESS_THAN_THRESHOLD,
      evaluationPeriods: 3,
    });

    const polly = new iam.CfnPolicy(this, "Polly", {
      policyName: "Polly",
      roles: [role.roleName],
      policyDocument: { Version: "2012-10-17", Statement: [SPEECH] },
    });
    onlyIf(this, given.hasBridge);
    onlyIf(polly, given.bridgeHasPolly);
    for (const [output, value] of [
      ["BridgeAddress", this.url],
      ["BridgeLogGroupName", log.logGroupName],
    ]) {
      new CfnOutput(this, output!, { value: value!, condition: given.hasBridge });
    }
  }

  /** Lets the functions in. */
  admit(functions: ec2.SecurityGroup): void {
    const way = new Way(this, "Functions", {
      from: functions,
      to: this.access,
      port: PORT,
      description: "The functions of the phone to the audio bridge",
    });
    onlyIf(way, this.given.hasBridge);
  }

  /** The task's own role, with what the program does and nothing else, and its policy. */
  private role({ connect }: BridgeProps): [iam.Role, iam.CfnPolicy] {
    const role = new iam.Role(this, "Task", {
      // Not on behalf of another account's task.
      assumedBy: new iam.ServicePrincipal("ecs-tasks.amazonaws.com", {
        conditions: {
          StringEquals: { "aws:SourceAccount": Aws.ACCOUNT_ID },
          ArnLike: {
            "aws:SourceArn": `arn:${Aws.PARTITION}:ecs:${Aws.REGION}:${Aws.ACCOUNT_ID}:*`,
          },
        },
      }),
    });
    for (const statement of connect.bridgeMay) role.addToPolicy(new iam.PolicyStatement(statement));
    return [role, role.node.findChild("DefaultPolicy").node.defaultChild as iam.CfnPolicy];
  }

  /** ECS reads the two keys and writes the log. The image and the rest it may already. */
  private executionMay(execution: iam.Role, log: logs.LogGroup): iam.CfnPolicy {
    const { bridgeKeyArn, bridgeServerKeyArn } = this.given;
    const may = (Sid: string, Action: string[], Resource: string[]) => ({
      Sid,
      Effect: "Allow",
      Action,
      Resource,
    });
    return new iam.CfnPolicy(this, "Start", {
      policyName: "Bridge",
      roles: [execution.roleName],
      policyDocument: {
        Version: "2012-10-17",
        Statement: [
          may("BridgeKeys", ["secretsmanager:GetSecretValue"], [bridgeKeyArn, bridgeServerKeyArn]),
          may("BridgeLog", ["logs:CreateLogStream", "logs:PutLogEvents"], [log.logGroupArn]),
        ],
      },
    });
  }

  /** `bridge` in a zone that this VPC alone can see. */
  private name(network: Network): discovery.CfnService {
    const zone = new discovery.CfnPrivateDnsNamespace(this, "Zone", {
      name: `${Aws.STACK_NAME}.internal`,
      description: `Parts of Voice S2S, stack ${Aws.STACK_NAME}`,
      vpc: network.vpcId,
    });
    return new discovery.CfnService(this, "Name", {
      name: NAME,
      description: "Tasks of the audio bridge that are healthy",
      namespaceId: zone.attrId,
      dnsConfig: {
        // Up to eight tasks in an answer, in an order by chance.
        routingPolicy: "MULTIVALUE",
        dnsRecords: [{ type: "A", ttl: NAME_SECONDS }],
      },
      // ECS says which are healthy, by the check of the container.
      healthCheckCustomConfig: { failureThreshold: 1 },
    });
  }

  private taskDefinition(
    { given, connect, roles }: BridgeProps,
    role: iam.Role,
    log: logs.LogGroup,
  ): ecs.CfnTaskDefinition {
    const set = (name: string, value: string) => ({ name, value });
    return new ecs.CfnTaskDefinition(this, "Definition", {
      family: `${Aws.STACK_NAME}-bridge`,
      requiresCompatibilities: ["FARGATE"],
      networkMode: "awsvpc",
      // Holds 200 calls (BRIDGE_MAX_CALLS per core).
      cpu: "1024",
      memory: "2048",
      runtimePlatform: { cpuArchitecture: given.architecture, operatingSystemFamily: "LINUX" },
      taskRoleArn: role.roleArn,
      executionRoleArn: roles.execution.roleArn,
      containerDefinitions: [
        {
          ...container({
            name: "bridge",
            image: given.image,
            port: PORT,
            healthcheck: ["--port", String(PORT)],
            logGroupName: log.logGroupName,
            stream: "bridge",
          }),
          command: ["bridge"],
          environment: [
            // Everywhere. What it calls itself (BRIDGE_ADVERTISE) is the address of its interface.
            set("BRIDGE_HOST", "0.0.0.0"),
            set("BRIDGE_PORT", String(PORT)),
            set("BRIDGE_SERVER", Fn.join("", ["wss://", given.domainName, "/sonic"])),
            set("BRIDGE_REGION", Aws.REGION),
            set("PROMPT_BUCKET", Fn.join("", ["s3://", connect.promptBucketName])),
            set("VOICE_OUT", given.voiceOut),
            set("SHUTDOWN_GRACE", "110"),
            set("LOG", "json"),
          ],
          secrets: [
            { name: "BRIDGE_KEY", valueFrom: given.bridgeKeyArn },
            { name: "BRIDGE_SERVER_KEY", valueFrom: given.bridgeServerKeyArn },
          ],
        },
      ],
    });
  }

  /** By the time that a core is busy: a bridge tells CloudWatch nothing of its calls. */
  private scale(cluster: string, service: string): void {
    const target = new scaling.CfnScalableTarget(this, "Target", {
      serviceNamespace: "ecs",
      scalableDimension: "ecs:service:DesiredCount",
      resourceId: Fn.join("/", ["service", cluster, service]),
      minCapacity: this.given.bridgeTasks,
      maxCapacity: this.given.bridgeMaxTasks,
    });
    new scaling.CfnScalingPolicy(this, "Track", {
      policyName: "bridge-busy",
      policyType: "TargetTrackingScaling",
      scalingTargetId: target.ref,
      targetTrackingScalingPolicyConfiguration: {
        targetValue: BUSY,
        scaleOutCooldown: 60,
        // Who goes moves its calls: not in the next breath.
        scaleInCooldown: 900,
        predefinedMetricSpecification: {
          predefinedMetricType: "ECSServiceAverageCPUUtilization",
        },
      },
    });
  }
}
