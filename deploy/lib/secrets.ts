/**
 * What must not be read: two keys that are made here and that nobody ever sees, and the secrets
 * that the operator has made before.
 *
 * ECS reads them when a task starts and hands them over as variables. The task itself may not.
 */
import { Aws, aws_ecs as ecs, aws_secretsmanager as sm, Fn, type IResolvable } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { EncryptionKey } from "./key.ts";
import type { Parameters } from "./parameters.ts";

interface SecretsProps {
  given: Parameters;
  key: EncryptionKey;
}

/** Keys and references. */
export class Secrets extends Construct {
  /** What a task definition lists. */
  readonly variables: (ecs.CfnTaskDefinition.SecretProperty | IResolvable)[];
  /** Those that are always there; the execution role reads them. */
  readonly arns: string[];

  constructor(scope: Construct, id: string, { given, key }: SecretsProps) {
    super(scope, id);
    const storeKey = this.hexadecimal(
      "StoreKey",
      key,
      "Encrypts the state of calls in the session store (SESSION_STORE_KEY)",
    );
    const tickets = this.hexadecimal(
      "TicketKey",
      key,
      "Signs the tickets that browsers get for one call (TICKET_SECRET)",
    );

    const variable = (name: string, from: string) => ({ name, valueFrom: from });
    const only = (condition: string, name: string, from: string) =>
      Fn.conditionIf(condition, { Name: name, ValueFrom: from }, { Ref: "AWS::NoValue" });
    const langfuse = (name: string, field: string) =>
      only(given.hasLangfuse.logicalId, name, `${given.langfuseArn}:${field}::`);
    this.variables = [
      variable("SESSION_STORE_KEY", storeKey.secretArn),
      variable("TICKET_SECRET", tickets.secretArn),
      only(given.hasApiKeys.logicalId, "API_KEYS", given.apiKeysArn),
      langfuse("LANGFUSE_PUBLIC_KEY", "PUBLIC_KEY"),
      langfuse("LANGFUSE_SECRET_KEY", "SECRET_KEY"),
      langfuse("LANGFUSE_HOST", "HOST"),
    ];
    this.arns = [storeKey.secretArn, tickets.secretArn];
  }

  /** 256 bits as 64 hexadecimal digits: what is left of a password when all else is forbidden. */
  private hexadecimal(id: string, key: EncryptionKey, purpose: string): sm.Secret {
    return new sm.Secret(this, id, {
      description: `${purpose}, stack ${Aws.STACK_NAME}`,
      encryptionKey: key.key,
      generateSecretString: {
        passwordLength: 64,
        excludeUppercase: true,
        excludePunctuation: true,
        excludeCharacters: "ghijklmnopqrstuvwxyz",
        requireEachIncludedType: false,
      },
    });
  }
}
