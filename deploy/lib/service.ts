/**
 * The tasks: what runs, with which settings, and how one version follows another.
 *
 * A task that is replaced is taken out of the target group first and gets SIGTERM only when the
 * deregistration delay is over; until then its calls end by themselves (`ops.md` §1.1).
 */
import { Aws, aws_ec2 as ec2, aws_ecs as ecs, Fn, type IResolvable } from "aws-cdk-lib";
import { Construct } from "constructs";

import { Way } from "./access.ts";
import type { Alarms } from "./alarms.ts";
import { type Balancer, PORT } from "./balancer.ts";
import type { Cache } from "./cache.ts";
import { container } from "./container.ts";
import { type Metrics, NAMESPACE } from "./metrics.ts";
import type { Network } from "./network.ts";
import { WaitFor } from "./only.ts";
import type { Parameters } from "./parameters.ts";
import type { Roles } from "./roles.ts";
import type { Secrets } from "./secrets.ts";
import type { Storage } from "./storage.ts";

/** Where the image keeps its data; the VOLUME of the Dockerfile, which gives it its owner. */
const DATA_DIR = "/app/data";

interface ServiceProps {
  given: Parameters;
  metrics: Metrics;
  network: Network;
  balancer: Balancer;
  storage: Storage;
  secrets: Secrets;
  cache: Cache;
  roles: Roles;
  alarms: Alarms;
}

/** Cluster, task definition and service. */
export class Service extends Construct {
  readonly clusterName: string;
  readonly serviceName: string;
  readonly service: ecs.CfnService;

  constructor(scope: Construct, id: string, props: ServiceProps) {
    super(scope, id);
    const { given, network, balancer, cache, roles, alarms } = props;

    const cluster = new ecs.CfnCluster(this, "Cluster", {
      // Known before it is made, so that the task role can name its tasks.
      clusterName: Aws.STACK_NAME,
      // Scaling divides by the number of desired tasks, which is a metric of Container Insights.
      clusterSettings: [{ name: "containerInsights", value: "enabled" }],
    });
    this.clusterName = cluster.ref;

    const access = new ec2.SecurityGroup(this, "Access", {
      vpc: network.vpc,
      description: "The load balancer to the tasks",
      allowAllOutbound: false,
    });
    new Way(this, "Balancer", {
      from: balancer.securityGroup,
      to: access,
      port: PORT,
      description: "The load balancer to the tasks",
    });
    access.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), "AWS, Langfuse, tools");

    this.service = new ecs.CfnService(this, "Resource", {
      cluster: cluster.ref,
      taskDefinition: this.taskDefinition(props).ref,
      launchType: "FARGATE",
      platformVersion: "LATEST",
      // No desired count: it would undo what scaling has done at every update.
      enableExecuteCommand: false,
      healthCheckGracePeriodSeconds: 60,
      propagateTags: "SERVICE",
      deploymentConfiguration: {
        minimumHealthyPercent: 100,
        maximumPercent: 200,
        deploymentCircuitBreaker: { enable: true, rollback: true },
        alarms: { enable: true, rollback: true, alarmNames: alarms.rollBack },
      },
      networkConfiguration: {
        awsvpcConfiguration: {
          assignPublicIp: "DISABLED",
          subnets: network.privateSubnetIds,
          securityGroups: [access.securityGroupId],
        },
      },
      loadBalancers: [
        {
          containerName: "voice-s2s",
          containerPort: PORT,
          targetGroupArn: balancer.targetGroupArn,
        },
      ],
    });
    this.service.addResourceDependency(balancer.listener);
    // A task needs its permissions and its ways before it can fetch image and secrets.
    new WaitFor(this, "Ready", this.service, [
      ...network.ways,
      ...roles.policies,
      ...cache.admit(access, given).rules,
    ]);
    this.serviceName = this.service.attrName;
  }

  private taskDefinition(props: ServiceProps): ecs.CfnTaskDefinition {
    const { given, roles, storage, secrets, cache } = props;
    return new ecs.CfnTaskDefinition(this, "Task", {
      family: Aws.STACK_NAME,
      requiresCompatibilities: ["FARGATE"],
      networkMode: "awsvpc",
      cpu: given.taskCpu,
      memory: given.taskMemory,
      runtimePlatform: { cpuArchitecture: given.architecture, operatingSystemFamily: "LINUX" },
      taskRoleArn: roles.task.roleArn,
      executionRoleArn: roles.execution.roleArn,
      volumes: [{ name: "data" }],
      containerDefinitions: [
        {
          ...container({
            name: "voice-s2s",
            image: given.image,
            port: PORT,
            logGroupName: storage.logGroup.logGroupName,
            stream: "task",
          }),
          mountPoints: [{ sourceVolume: "data", containerPath: DATA_DIR, readOnly: false }],
          environment: settings(props),
          secrets: [
            ...secrets.variables,
            Fn.conditionIf(
              given.hasCache.logicalId,
              { Name: "SESSION_STORE", ValueFrom: cache.urlSecretArn },
              { Ref: "AWS::NoValue" },
            ),
          ],
        },
      ],
    });
  }
}

/** The variables of the program that are not secret. `voice-s2s serve --help` explains each. */
function settings({
  given,
  metrics,
  storage,
}: ServiceProps): (ecs.CfnTaskDefinition.KeyValuePairProperty | IResolvable)[] {
  const set = (name: string, value: string) => ({ name, value });
  const only = (condition: string, name: string, value: string) =>
    Fn.conditionIf(condition, { Name: name, Value: value }, { Ref: "AWS::NoValue" });
  const { hasJwt, hasJwksUrl, hasOrigins } = given;
  return [
    set("HOST", "0.0.0.0"),
    set("PORT", String(PORT)),
    set("LOG", "json"),
    set("SONIC_BACKEND", "bedrock"),
    set("NOVA_AWS_REGION", given.novaRegion),
    set("NOVA_SONIC_MODEL_ID", given.novaModelId),
    set("MAX_CALLS", given.maxCalls),
    set("DATA_DIR", DATA_DIR),
    set("SESSION_LOG", `s3://${storage.bucket.bucketName}`),
    set("SESSION_LOG_REGION", Aws.REGION),
    set("RECORDING", given.recording),
    set("TRANSCRIBE", given.transcribe),
    set("TOOL_HTTP_HOSTS", given.toolHttpHosts),
    set("SHUTDOWN_GRACE", "110"),
    set("TASK_PROTECTION", "auto"),
    set("CLOUDWATCH_METRICS", "on"),
    set("CLOUDWATCH_NAMESPACE", NAMESPACE),
    // Here, and not in the region of Nova Sonic: the alarms are here.
    set("CLOUDWATCH_REGION", Aws.REGION),
    set("METRICS_ENVIRONMENT", metrics.dimensions.Environment!),
    set("METRICS_SERVICE", metrics.dimensions.Service!),
    // The burst alarm looks at ten seconds.
    set("METRICS_HIGH_RESOLUTION", "on"),
    set("TRUSTED_PROXIES", given.vpcCidr),
    only(hasJwt.logicalId, "JWT_ISSUER", given.jwtIssuer),
    only(hasJwt.logicalId, "JWT_AUDIENCE", given.jwtAudience),
    only(hasJwt.logicalId, "JWT_ROLES_CLAIM", given.jwtRolesClaim),
    only(hasJwksUrl.logicalId, "JWT_JWKS_URL", given.jwtJwksUrl),
    only(hasOrigins.logicalId, "ALLOWED_ORIGINS", given.allowedOrigins),
  ];
}
