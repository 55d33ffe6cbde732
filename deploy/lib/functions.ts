/**
 * The two functions that a contact flow of Amazon Connect invokes, and who may invoke them.
 *
 * Only when it is said where their programs are. They are `bootstrap` programs in zips that
 * `deploy/functions` has put into a bucket. They ask the bridge with a signed request and need
 * nothing of AWS but a log and a way into the VPC.
 */
import {
  Aws,
  aws_cloudwatch as cw,
  aws_connect as connect,
  aws_ec2 as ec2,
  aws_iam as iam,
  aws_lambda as lambda,
  aws_logs as logs,
  CfnOutput,
  Duration,
  Fn,
  RemovalPolicy,
  SecretValue,
} from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Alarms } from "./alarms.ts";
import type { Bridge } from "./bridge.ts";
import type { EncryptionKey } from "./key.ts";
import { NAMESPACE } from "./metrics.ts";
import type { Network } from "./network.ts";
import { onlyIf } from "./only.ts";
import type { Parameters } from "./parameters.ts";

/** Name of each function in the template, and of its program. */
const FUNCTIONS = {
  StartBotSession: "start-bot-session",
  ProcessBotTurn: "process-bot-turn",
};

/** Connect waits for eight seconds; a function that is killed before it has answered says nothing. */
const TIMEOUT = 9;
/** Memory decides the share of a core: with less, a cold start takes longer. */
const MEMORY = 256;
/** Callers of five minutes that may go to a human because the assistant was not reached. */
const LOST_CALLERS = 2;
/** Where a bridge that is not ours listens unless it is told otherwise, and TLS. */
const PORTS = [8081, 443];

interface FunctionsProps {
  given: Parameters;
  network: Network;
  key: EncryptionKey;
  bridge: Bridge;
  alarms: Alarms;
}

const policyOf = (role: iam.Role) =>
  role.node.findChild("DefaultPolicy").node.defaultChild as iam.CfnPolicy;

/** Functions, roles, and the instance's leave to invoke them. */
export class PhoneFunctions extends Construct {
  constructor(scope: Construct, id: string, props: FunctionsProps) {
    super(scope, id);
    const { given, network, key, bridge, alarms } = props;
    const lost = new cw.Metric({
      // Of this stack's functions alone.
      namespace: Fn.join("/", [NAMESPACE, Aws.STACK_NAME]),
      metricName: "LostCallers",
      statistic: "Sum",
      period: Duration.minutes(5),
    });
    const access = new ec2.SecurityGroup(this, "Access", {
      vpc: network.vpc,
      description: "The functions of the phone to the audio bridge",
      allowAllOutbound: false,
    });
    const elsewhere = PORTS.map(
      (port) =>
        new ec2.CfnSecurityGroupEgress(this, `Bridge${port}`, {
          groupId: access.securityGroupId,
          cidrIp: given.vpcCidr,
          ipProtocol: "tcp",
          fromPort: port,
          toPort: port,
          description: "The audio bridge",
        }),
    );

    const made = Object.entries(FUNCTIONS).map(([name, program]) => {
      const log = new logs.LogGroup(this, `${name}Log`, {
        retention: given.logDays,
        encryptionKey: key.key,
        removalPolicy: RemovalPolicy.RETAIN,
      });
      // They answer whatever comes, so that Lambda counts no error: what went wrong is in the log.
      new logs.MetricFilter(this, `${name}Lost`, {
        logGroup: log,
        filterPattern: logs.FilterPattern.stringValue("$.level", "=", "ERROR"),
        metricNamespace: lost.namespace,
        metricName: lost.metricName,
      });
      const role = this.role(name, log);
      const code = new lambda.CfnFunction(this, name, {
        description: `Between contact flows and the audio bridge, stack ${Aws.STACK_NAME}`,
        runtime: "provided.al2023",
        handler: "bootstrap",
        architectures: [Fn.conditionIf(given.isArm.logicalId, "arm64", "x86_64").toString()],
        code: {
          s3Bucket: given.functionBucket,
          s3Key: Fn.join("", [given.functionPrefix, `${program}.zip`]),
        },
        role: role.roleArn,
        timeout: TIMEOUT,
        memorySize: MEMORY,
        loggingConfig: { logGroup: log.logGroupName },
        vpcConfig: {
          subnetIds: network.privateSubnetIds,
          securityGroupIds: [access.securityGroupId],
        },
        environment: {
          variables: {
            BRIDGE_URL: Fn.conditionIf(
              given.hasBridge.logicalId,
              bridge.url,
              given.bridgeUrl,
            ).toString(),
            // CloudFormation puts it in; the functions may read no secret.
            BRIDGE_KEY: SecretValue.secretsManager(given.bridgeKeyArn).unsafeUnwrap(),
          },
        },
      });
      // Lambda looks for the right to a place in the VPC when it makes the function.
      code.addResourceDependency(policyOf(role));
      // Both keys: not for another account's instance, and not for another instance of ours.
      new lambda.CfnPermission(this, `${name}Invoke`, {
        action: "lambda:InvokeFunction",
        functionName: code.ref,
        principal: "connect.amazonaws.com",
        sourceAccount: Aws.ACCOUNT_ID,
        sourceArn: given.connectInstanceArn,
      });
      new connect.CfnIntegrationAssociation(this, `${name}Association`, {
        instanceId: given.connectInstanceArn,
        integrationType: "LAMBDA_FUNCTION",
        integrationArn: code.attrArn,
      });
      return { name, arn: code.attrArn };
    });
    alarms.ringing(this, "Lost", {
      alarmDescription: "Who phones goes to a human: the audio bridge does not answer, or refuses",
      metric: lost,
      threshold: LOST_CALLERS,
      comparisonOperator: cw.ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: 1,
    });
    onlyIf(this, given.hasFunctions);
    for (const rule of elsewhere) onlyIf(rule, given.hasOtherBridge);
    bridge.admit(access);
    for (const { name, arn } of made) {
      new CfnOutput(this, `${name}Arn`, { value: arn, condition: given.hasFunctions });
    }
  }

  /** A log, and a place in the VPC; nothing else (`connect-kvs.md` §9). */
  private role(name: string, log: logs.LogGroup): iam.Role {
    const role = new iam.Role(this, `${name}Role`, {
      assumedBy: new iam.ServicePrincipal("lambda.amazonaws.com"),
    });
    role.addToPolicy(
      new iam.PolicyStatement({
        sid: "Log",
        actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
        resources: [log.logGroupArn],
      }),
    );
    role.addToPolicy(
      new iam.PolicyStatement({
        sid: "Network",
        actions: [
          "ec2:CreateNetworkInterface",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DeleteNetworkInterface",
        ],
        // None of the three can be told which interface beforehand.
        resources: ["*"],
      }),
    );
    return role;
  }
}
