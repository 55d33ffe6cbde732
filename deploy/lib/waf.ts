/**
 * The firewall before the load balancer: rates per address, and what AWS knows to be bad.
 *
 * It sees the request that opens a WebSocket and nothing after it; what is said on one is limited by
 * the program. Its log has no query and no header that carries a ticket, a token or a key.
 */
import { Aws, aws_logs as logs, aws_wafv2 as waf, Fn, RemovalPolicy } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Balancer } from "./balancer.ts";
import type { EncryptionKey } from "./key.ts";
import type { Network } from "./network.ts";
import { onlyIf } from "./only.ts";
import type { Parameters } from "./parameters.ts";

/** Over how long addresses are counted. */
const WINDOW = 300;

/** Headers that the log must not show. */
const SECRET_HEADERS = ["authorization", "cookie", "sec-websocket-protocol"];

interface FirewallProps {
  given: Parameters;
  network: Network;
  balancer: Balancer;
  key: EncryptionKey;
}

/** The web ACL, bound to the load balancer. */
export class Firewall extends Construct {
  constructor(scope: Construct, id: string, { given, network, balancer, key }: FirewallProps) {
    super(scope, id);
    const seen = (metricName: string) => ({
      metricName,
      cloudWatchMetricsEnabled: true,
      sampledRequestsEnabled: false,
    });
    // Only calls are counted under the narrow limit; pages and API have the wide one.
    const toCalls = {
      ByteMatchStatement: {
        FieldToMatch: { UriPath: {} },
        PositionalConstraint: "STARTS_WITH",
        SearchString: "/sonic",
        TextTransformations: [{ Priority: 0, Type: "NORMALIZE_PATH" }],
      },
    };
    // Everybody who phones comes from the few addresses of the NAT gateways, by the bridge.
    const bridge = new waf.CfnIPSet(this, "Bridge", {
      scope: "REGIONAL",
      ipAddressVersion: "IPV4",
      description: `From where the audio bridge calls, stack ${Aws.STACK_NAME}`,
      addresses: network.natAddresses,
    });
    onlyIf(bridge, given.bridgeIsKnown);
    const notByBridge = {
      NotStatement: { Statement: { IPSetReferenceStatement: { Arn: bridge.attrArn } } },
    };
    const counted = Fn.conditionIf(
      given.bridgeIsKnown.logicalId,
      { AndStatement: { Statements: [toCalls, notByBridge] } },
      toCalls,
    );
    const rate = (name: string, priority: number, limit: number, scopeDownStatement?: object) => ({
      name,
      priority,
      action: { block: { customResponse: { responseCode: 429 } } },
      statement: {
        rateBasedStatement: {
          limit,
          aggregateKeyType: "IP",
          evaluationWindowSec: WINDOW,
          scopeDownStatement,
        },
      },
      visibilityConfig: seen(name),
    });
    const managed = (name: string, priority: number) => ({
      name,
      priority,
      overrideAction: { none: {} },
      statement: { managedRuleGroupStatement: { vendorName: "AWS", name } },
      visibilityConfig: seen(name),
    });

    const acl = new waf.CfnWebACL(this, "Resource", {
      scope: "REGIONAL",
      description: `Voice S2S, stack ${Aws.STACK_NAME}`,
      defaultAction: { allow: {} },
      visibilityConfig: seen("Firewall"),
      rules: [
        managed("AWSManagedRulesAmazonIpReputationList", 0),
        managed("AWSManagedRulesKnownBadInputsRuleSet", 1),
        rate("Calls", 2, given.upgradesPerAddress, counted),
        rate("Requests", 3, given.requestsPerAddress),
      ],
    });
    new waf.CfnWebACLAssociation(this, "Association", {
      resourceArn: balancer.arn,
      webAclArn: acl.attrArn,
    });

    // WAF writes to groups of this name only, and wants them without the `:*` of CDK's ARN.
    const logGroupName = `aws-waf-logs-${Aws.STACK_NAME}`;
    const log = new logs.LogGroup(this, "Log", {
      logGroupName,
      retention: logs.RetentionDays.TWO_WEEKS,
      encryptionKey: key.key,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    new waf.CfnLoggingConfiguration(this, "Logging", {
      resourceArn: acl.attrArn,
      logDestinationConfigs: [
        `arn:${Aws.PARTITION}:logs:${Aws.REGION}:${Aws.ACCOUNT_ID}:log-group:${logGroupName}`,
      ],
      redactedFields: [
        { queryString: {} },
        ...SECRET_HEADERS.map((name) => ({ singleHeader: { Name: name } })),
      ],
      loggingFilter: {
        DefaultBehavior: "DROP",
        Filters: [
          {
            Behavior: "KEEP",
            Requirement: "MEETS_ANY",
            Conditions: [{ ActionCondition: { Action: "BLOCK" } }],
          },
        ],
      },
    }).node.addDependency(log);
  }
}
