/**
 * The one key that encrypts what the stack keeps: session logs, logs, secrets, alarms on their way.
 *
 * It outlives the stack, as the session logs do that can be read with it alone.
 */
import { Aws, aws_iam as iam, aws_kms as kms, RemovalPolicy } from "aws-cdk-lib";
import { Construct } from "constructs";

/** A customer key with yearly rotation. */
export class EncryptionKey extends Construct {
  readonly key: kms.Key;
  readonly arn: string;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    this.key = new kms.Key(this, "Resource", {
      description: `Voice S2S, stack ${Aws.STACK_NAME}`,
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.arn = this.key.keyArn;

    // CloudWatch Logs asks with the log group's name, alarms with nothing but their account.
    this.key.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: "Logs",
        principals: [new iam.ServicePrincipal(`logs.${Aws.REGION}.amazonaws.com`)],
        actions: [
          "kms:Encrypt*",
          "kms:Decrypt*",
          "kms:ReEncrypt*",
          "kms:GenerateDataKey*",
          "kms:Describe*",
        ],
        resources: ["*"],
        conditions: {
          ArnLike: {
            "kms:EncryptionContext:aws:logs:arn": `arn:${Aws.PARTITION}:logs:${Aws.REGION}:${Aws.ACCOUNT_ID}:log-group:*`,
          },
        },
      }),
    );
    this.key.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: "Alarms",
        principals: [new iam.ServicePrincipal("cloudwatch.amazonaws.com")],
        actions: ["kms:Decrypt", "kms:GenerateDataKey*"],
        resources: ["*"],
        conditions: { StringEquals: { "aws:SourceAccount": Aws.ACCOUNT_ID } },
      }),
    );
  }
}
