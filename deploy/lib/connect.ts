/**
 * What Amazon Connect needs of the stack so that phone calls can be brought in: its media stream,
 * and a bucket whose prompts it may play.
 *
 * Only that, and only when an instance is named. The audio bridge and its functions are in
 * `bridge.ts` and `functions.ts`; `BridgePolicy` is for a bridge that runs elsewhere.
 */
import {
  Aws,
  aws_connect as connect,
  aws_iam as iam,
  aws_s3 as s3,
  CfnOutput,
  Duration,
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

/** What a bridge needs to speak with Amazon Polly's voice; Polly knows no resource of it. */
export const SPEECH = {
  Sid: "Speech",
  Effect: "Allow",
  Action: "polly:SynthesizeSpeech",
  Resource: "*",
};

/** Media streaming, prompts, and the bridge's permissions. */
export class ConnectHook extends Construct {
  /** Where answers are put as prompts. */
  readonly promptBucketName: string;
  /** What every bridge needs: the callers' audio, its key, and a place for prompts. */
  readonly bridgeMay: iam.PolicyStatementProps[];

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
    this.promptBucketName = prompts.bucketName;
    this.bridgeMay = [
      {
        sid: "CallerAudio",
        actions: ["kinesisvideo:GetDataEndpoint", "kinesisvideo:GetMedia"],
        resources: [streams],
      },
      {
        sid: "CallerAudioKey",
        actions: ["kms:Decrypt"],
        resources: [key.arn],
        conditions: {
          StringEquals: { "kms:ViaService": `kinesisvideo.${Aws.REGION}.amazonaws.com` },
        },
      },
      // It never reads one: Connect does.
      { sid: "Prompts", actions: ["s3:PutObject"], resources: [prompts.arnForObjects("*")] },
    ];
    const policy = new iam.ManagedPolicy(this, "BridgePolicy", {
      description:
        "What the audio bridge needs: callers' audio, answers as prompts, speech for them",
      statements: [
        ...this.bridgeMay.map((statement) => new iam.PolicyStatement(statement)),
        iam.PolicyStatement.fromJson(SPEECH),
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
