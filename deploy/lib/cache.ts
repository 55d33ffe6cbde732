/**
 * The session store: a Valkey with two nodes in two zones, reached over TLS with a password.
 *
 * It holds the state of each call after each turn, sealed by the program, for an hour. Without it
 * a call that loses its task begins anew; a rolling deployment alone loses none.
 */
import {
  Aws,
  aws_ec2 as ec2,
  aws_elasticache as elasticache,
  aws_secretsmanager as sm,
  SecretValue,
} from "aws-cdk-lib";
import { Construct } from "constructs";

import { Way } from "./access.ts";
import type { EncryptionKey } from "./key.ts";
import type { Network } from "./network.ts";
import { onlyIf } from "./only.ts";
import type { Parameters } from "./parameters.ts";

const PORT = 6379;

interface CacheProps {
  given: Parameters;
  network: Network;
  key: EncryptionKey;
}

/** The store and the secret with its URL. */
export class Cache extends Construct {
  readonly securityGroup: ec2.SecurityGroup;
  /** Secret whose text is SESSION_STORE; its URL has the password in it. */
  readonly urlSecretArn: string;

  constructor(scope: Construct, id: string, { given, network, key }: CacheProps) {
    super(scope, id);
    this.securityGroup = new ec2.SecurityGroup(this, "Access", {
      vpc: network.vpc,
      description: "Tasks to the session store",
      allowAllOutbound: false,
    });
    const password = new sm.Secret(this, "Password", {
      description: `Password of the session store, stack ${Aws.STACK_NAME}`,
      encryptionKey: key.key,
      generateSecretString: { passwordLength: 64, excludePunctuation: true },
    });
    const subnets = new elasticache.CfnSubnetGroup(this, "Subnets", {
      description: "The private subnets",
      subnetIds: network.privateSubnetIds,
    });
    const group = new elasticache.CfnReplicationGroup(this, "Nodes", {
      replicationGroupDescription: `Voice S2S session store, stack ${Aws.STACK_NAME}`,
      engine: "valkey",
      engineVersion: "8.0",
      cacheNodeType: given.cacheNodeType,
      numCacheClusters: 2,
      automaticFailoverEnabled: true,
      multiAzEnabled: true,
      port: PORT,
      cacheSubnetGroupName: subnets.ref,
      securityGroupIds: [this.securityGroup.securityGroupId],
      atRestEncryptionEnabled: true,
      kmsKeyId: key.arn,
      transitEncryptionEnabled: true,
      transitEncryptionMode: "required",
      authToken: SecretValue.secretsManager(password.secretArn).unsafeUnwrap(),
      autoMinorVersionUpgrade: true,
    });
    // CloudFormation puts the password in when it makes the secret; the template has a reference.
    const url = new sm.Secret(this, "Url", {
      description: `URL of the session store (SESSION_STORE), stack ${Aws.STACK_NAME}`,
      encryptionKey: key.key,
      secretStringValue: SecretValue.unsafePlainText(
        `rediss://:${SecretValue.secretsManager(password.secretArn).unsafeUnwrap()}` +
          `@${group.attrPrimaryEndPointAddress}:${group.attrPrimaryEndPointPort}`,
      ),
    });
    this.urlSecretArn = url.secretArn;
    onlyIf(this, given.hasCache);
  }

  /** Lets the tasks in, under the same condition. */
  admit(tasks: ec2.SecurityGroup, given: Parameters): Way {
    const way = new Way(this, "Tasks", {
      from: tasks,
      to: this.securityGroup,
      port: PORT,
      description: "Tasks to the session store",
    });
    onlyIf(way, given.hasCache);
    return way;
  }
}
