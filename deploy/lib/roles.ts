/**
 * Who may do what. The task role is the program's, the execution role is ECS's.
 *
 * Each statement names what it is for; nothing is allowed on everything that could be allowed on
 * something. Where `*` stands, the service knows no resource (Transcribe, PutMetricData, the
 * registry's token).
 */
import { Aws, aws_iam as iam, type CfnCondition, type CfnResource } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Cache } from "./cache.ts";
import type { EncryptionKey } from "./key.ts";
import { NAMESPACE } from "./metrics.ts";
import type { Parameters } from "./parameters.ts";
import type { Secrets } from "./secrets.ts";
import type { Storage } from "./storage.ts";

interface RolesProps {
  given: Parameters;
  storage: Storage;
  secrets: Secrets;
  cache: Cache;
  key: EncryptionKey;
}

/** Both roles. */
export class Roles extends Construct {
  readonly task: iam.Role;
  readonly execution: iam.Role;
  /** What has to be there before a task can start. */
  readonly policies: CfnResource[] = [];

  constructor(scope: Construct, id: string, props: RolesProps) {
    super(scope, id);
    // Not on behalf of another account's task.
    const tasks = new iam.ServicePrincipal("ecs-tasks.amazonaws.com", {
      conditions: {
        StringEquals: { "aws:SourceAccount": Aws.ACCOUNT_ID },
        ArnLike: { "aws:SourceArn": this.arn("ecs", "*") },
      },
    });
    this.task = new iam.Role(this, "Task", { assumedBy: tasks });
    this.execution = new iam.Role(this, "Execution", { assumedBy: tasks });
    this.taskMay(props);
    this.executionMay(props);
    this.policies.push(this.basic(this.task), this.basic(this.execution));
  }

  private taskMay({ given, storage, key }: RolesProps): void {
    const may = (
      sid: string,
      actions: string[],
      resources: string[],
      conditions?: iam.Conditions,
    ) => this.task.addToPolicy(new iam.PolicyStatement({ sid, actions, resources, conditions }));

    // Which of the two is looked at is not documented in one voice: AWS names the first, its own
    // samples grant both (`nova-sonic.md` §8).
    may(
      "NovaSonic",
      ["bedrock:InvokeModel", "bedrock:InvokeModelWithBidirectionalStream"],
      [`arn:${Aws.PARTITION}:bedrock:${given.novaRegion}::foundation-model/${given.novaModelId}`],
    );
    may("Transcribe", ["transcribe:StartStreamTranscription"], ["*"]);
    may(
      "SessionLogs",
      ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"],
      [storage.bucket.arnForObjects("*")],
    );
    // Without it S3 answers 403 instead of 404, and a log that is not there looks like one that is.
    may("SessionLogList", ["s3:ListBucket"], [storage.bucket.bucketArn]);
    may("SessionLogKey", ["kms:GenerateDataKey", "kms:Decrypt"], [key.arn], {
      StringEquals: { "kms:ViaService": `s3.${Aws.REGION}.amazonaws.com` },
    });
    may("Metrics", ["cloudwatch:PutMetricData"], ["*"], {
      StringEquals: { "cloudwatch:namespace": NAMESPACE },
    });
    may(
      "ScaleInProtection",
      ["ecs:GetTaskProtection", "ecs:UpdateTaskProtection"],
      [this.arn("ecs", `task/${Aws.STACK_NAME}/*`)],
    );

    this.basic(this.task).addMetadata("cfn-lint", {
      // AWS's published list of actions does not know the second one; a grant of it does no harm.
      config: { ignore_checks: ["W3037"] },
    });

    this.optional(
      this.task,
      "ToolLambdas",
      given.hasToolLambdas,
      ["lambda:InvokeFunction"],
      given.toolLambdaArns,
    );
    this.optional(
      this.task,
      "KnowledgeBases",
      given.hasKnowledgeBases,
      ["bedrock:Retrieve"],
      given.knowledgeBaseArns,
    );
  }

  private executionMay({ given, storage, secrets, cache, key }: RolesProps): void {
    const may = (statement: iam.PolicyStatementProps) =>
      this.execution.addToPolicy(new iam.PolicyStatement(statement));

    may({ sid: "RegistryToken", actions: ["ecr:GetAuthorizationToken"], resources: ["*"] });
    may({
      sid: "Image",
      actions: [
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
      ],
      resources: [this.arn("ecr", "repository/*")],
    });
    may({
      sid: "Log",
      actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
      resources: [storage.logGroup.logGroupArn],
    });
    may({
      sid: "SecretsKey",
      actions: ["kms:Decrypt"],
      resources: [key.arn],
      conditions: {
        StringEquals: { "kms:ViaService": `secretsmanager.${Aws.REGION}.amazonaws.com` },
      },
    });
    const read = ["secretsmanager:GetSecretValue"];
    may({ sid: "Secrets", actions: read, resources: secrets.arns });
    this.optional(this.execution, "ApiKeys", given.hasApiKeys, read, [given.apiKeysArn]);
    this.optional(this.execution, "Langfuse", given.hasLangfuse, read, [given.langfuseArn]);
    this.optional(this.execution, "SessionStore", given.hasCache, read, [cache.urlSecretArn]);
  }

  /** A policy of its own, since a statement cannot have a condition of CloudFormation's. */
  private optional(
    role: iam.Role,
    id: string,
    condition: CfnCondition,
    actions: string[],
    resources: string[],
  ): void {
    const policy = new iam.CfnPolicy(this, id, {
      policyName: id,
      roles: [role.roleName],
      policyDocument: {
        Version: "2012-10-17",
        Statement: [{ Sid: id, Effect: "Allow", Action: actions, Resource: resources }],
      },
    });
    policy.cfnOptions.condition = condition;
    this.policies.push(policy);
  }

  /** The policy with what is always allowed. */
  private basic(role: iam.Role): iam.CfnPolicy {
    return role.node.findChild("DefaultPolicy").node.defaultChild as iam.CfnPolicy;
  }

  private arn(service: string, resource: string): string {
    return `arn:${Aws.PARTITION}:${service}:${Aws.REGION}:${Aws.ACCOUNT_ID}:${resource}`;
  }
}
