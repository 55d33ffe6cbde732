/**
 * What Amazon Connect needs of the stack so that phone calls can be brought in: its media stream,
 * and a bucket whose prompts it may play.
 *
 * Only that, and only when an instance is named. The audio bridge, its functions and the contact
 * flow are deployed on top; `BridgePolicy` is what the bridge's task role needs of these parts.
 */
import {
  Aws,
  aws_connect as connect,
  aws_iam as iam,
  aws_s3 as s3,
  CfnOutput,
  Duration,
  Fn,
  RemovalPolicy,
} from "aws-cdk-lib";
import { Construct } from "constructs";

import type { EncryptionKey } from "./key.ts";
import { onlyIf } from "./only.ts";
import type { Parameters } from "./parameters.ts";

interface ConnectProps {
  given: Parameters;
  key: EncryptionKey;
}

/** Media streaming, prompts, and the bridge's permissions. */
export class ConnectHook extends Construct {
  constructor(scope: Construct, id: string, { given, key }: ConnectProps) {
    super(scope, id);
    // One stream for each call, made by Connect, which puts the alias and the contact behind it.
    const prefix = Aws.STACK_NAME;
    new connect.CfnInstanceStorageConfig(this, "MediaStreams", {
      instanceArn: given.connectInstanceArn,
      resourceType: "MEDIA_STREAMS",
      storageType: "KINESIS_VIDEO_STREAM",
      kinesisVideoStreamConfig: {
        prefix,
        // The bridge reads live. An hour is enough to go on after it has been restarted.
        retentionPeriodHours: 1,
        encryptionConfig: { encryptionType: "KMS", keyId: key.arn },
      },
    });

    const prompts = new s3.Bucket(this, "Prompts", {
      // Connect cannot play what the key `aws/s3` encrypts; SSE-S3 it can.
      encryption: s3.BucketEncryption.S3_MANAGED,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      // One object for each answer, played once.
      lifecycleRules: [
        {
          id: "Expire",
          expiration: Duration.days(1),
          abortIncompleteMultipartUploadAfter: Duration.days(1),
        },
      ],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    prompts.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: "ConnectPrompts",
        principals: [new iam.ServicePrincipal("connect.amazonaws.com")],
        actions: ["s3:ListBucket", "s3:GetObject"],
        resources: [prompts.bucketArn, prompts.arnForObjects("*")],
        conditions: {
          StringEquals: {
            "aws:SourceAccount": Aws.ACCOUNT_ID,
            "aws:SourceArn": given.connectInstanceArn,
          },
        },
      }),
    );

    const streams = `arn:${Aws.PARTITION}:kinesisvideo:${Aws.REGION}:${Aws.ACCOUNT_ID}:stream/${prefix}*/*`;
    const policy = new iam.ManagedPolicy(this, "BridgePolicy", {
      description:
        "What the audio bridge needs: callers' audio, answers as prompts, speech for them",
      statements: [
        new iam.PolicyStatement({
          sid: "CallerAudio",
          actions: [
            "kinesisvideo:GetDataEndpoint",
            "kinesisvideo:GetMedia",
            "kinesisvideo:DescribeStream",
          ],
          resources: [streams],
        }),
        new iam.PolicyStatement({
          sid: "CallerAudioKey",
          actions: ["kms:Decrypt"],
          resources: [key.arn],
          conditions: {
            StringEquals: { "kms:ViaService": `kinesisvideo.${Aws.REGION}.amazonaws.com` },
          },
        }),
        new iam.PolicyStatement({
          sid: "Prompts",
          actions: ["s3:PutObject"],
          resources: [prompts.arnForObjects("*")],
        }),
        new iam.PolicyStatement({
          sid: "Speech",
          actions: ["polly:SynthesizeSpeech"],
          resources: ["*"],
        }),
        new iam.PolicyStatement({
          sid: "Contact",
          actions: ["connect:UpdateContactAttributes", "connect:StopContact"],
          resources: [Fn.join("", [given.connectInstanceArn, "/contact/*"])],
        }),
      ],
    });
    onlyIf(this, given.hasConnect);
    for (const [name, value] of [
      ["PromptBucketName", prompts.bucketName],
      ["BridgePolicyArn", policy.managedPolicyArn],
    ]) {
      new CfnOutput(this, name!, { value: value!, condition: given.hasConnect });
    }
  }
}
