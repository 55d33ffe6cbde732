/**
 * Where session logs and recordings lie, and the program's own log.
 *
 * The bucket outlives the stack: what was said is not deleted because somebody removes a service.
 */
import { aws_logs as logs, aws_s3 as s3, Duration, RemovalPolicy } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { EncryptionKey } from "./key.ts";
import type { Parameters } from "./parameters.ts";

interface StorageProps {
  given: Parameters;
  key: EncryptionKey;
}

/** The bucket and the log group. */
export class Storage extends Construct {
  readonly bucket: s3.Bucket;
  readonly logGroup: logs.LogGroup;

  constructor(scope: Construct, id: string, { given, key }: StorageProps) {
    super(scope, id);
    // No versions: `voice-s2s erase` has to take away what it says it takes away.
    this.bucket = new s3.Bucket(this, "Sessions", {
      encryption: s3.BucketEncryption.KMS,
      encryptionKey: key.key,
      bucketKeyEnabled: true,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      lifecycleRules: [
        {
          id: "Expire",
          expiration: Duration.days(given.sessionLogDays),
          // Recordings come in parts; those of a task that died are not kept for ever.
          abortIncompleteMultipartUploadAfter: Duration.days(7),
        },
      ],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.logGroup = new logs.LogGroup(this, "Log", {
      retention: given.logDays,
      encryptionKey: key.key,
      removalPolicy: RemovalPolicy.DESTROY,
    });
  }
}
