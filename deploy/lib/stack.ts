/**
 * The stack: which parts there are and who gets what of whom. The parts themselves are beside it,
 * one file each.
 *
 * What an operator chooses is a CloudFormation parameter and not CDK context, so that one template
 * serves everybody, also those who deploy it without CDK. Parts that are optional carry a condition.
 */
import { App, BootstraplessSynthesizer, type CfnElement, CfnOutput, Fn, Stack } from "aws-cdk-lib";
import type { Construct } from "constructs";

import { Alarms } from "./alarms.ts";
import { Balancer } from "./balancer.ts";
import { Bridge } from "./bridge.ts";
import { Cache } from "./cache.ts";
import { ConnectHook } from "./connect.ts";
import { dashboard } from "./dashboard.ts";
import { PhoneFunctions } from "./functions.ts";
import { EncryptionKey } from "./key.ts";
import { Metrics } from "./metrics.ts";
import { Network } from "./network.ts";
import { parameters } from "./parameters.ts";
import { Roles } from "./roles.ts";
import { Scaling } from "./scaling.ts";
import { Secrets } from "./secrets.ts";
import { Service } from "./service.ts";
import { Storage } from "./storage.ts";
import { Firewall } from "./waf.ts";

/** Voice S2S on ECS Fargate behind an Application Load Balancer. */
export class VoiceStack extends Stack {
  constructor(scope: Construct, id: string) {
    super(scope, id, {
      description: "Voice S2S: spoken conversations with Amazon Nova Sonic on ECS Fargate",
      // No bootstrap stack is needed: there is no asset, the image and the functions come by name.
      synthesizer: new BootstraplessSynthesizer(),
      analyticsReporting: false,
    });

    const given = parameters(this);
    const metrics = new Metrics(given);
    const key = new EncryptionKey(this, "Key");
    const network = new Network(this, "Network", { given, key });
    const storage = new Storage(this, "Storage", { given, key });
    const secrets = new Secrets(this, "Secrets", { given, key });
    const balancer = new Balancer(this, "Balancer", { given, network });
    const cache = new Cache(this, "Cache", { given, network, key });
    const alarms = new Alarms(this, "Alarms", { given, metrics, balancer, key });
    const roles = new Roles(this, "Roles", { given, storage, secrets, cache, key });
    const service = new Service(this, "Service", {
      given,
      metrics,
      network,
      balancer,
      storage,
      secrets,
      cache,
      roles,
      alarms,
    });
    new Scaling(this, "Scaling", { given, metrics, balancer, service });
    new Firewall(this, "Firewall", { given, network, balancer, key });
    const connect = new ConnectHook(this, "Connect", { given, key });
    const bridge = new Bridge(this, "Bridge", { given, network, connect, roles, key, alarms });
    new PhoneFunctions(this, "Phone", { given, network, key, bridge, alarms });
    dashboard(this, { metrics, balancer, service, alarms });

    const domain = given.domainName;
    new CfnOutput(this, "Address", {
      description: "Where the page is, and /sonic",
      value: Fn.conditionIf(
        given.hasDomain.logicalId,
        Fn.join("", ["https://", domain]),
        Fn.join("", ["https://", balancer.dnsName]),
      ).toString(),
    });
    new CfnOutput(this, "BalancerDnsName", { value: balancer.dnsName });
    new CfnOutput(this, "BalancerArn", { value: balancer.arn });
    new CfnOutput(this, "ClusterName", { value: service.clusterName });
    new CfnOutput(this, "ServiceName", { value: service.serviceName });
    new CfnOutput(this, "LogGroupName", { value: storage.logGroup.logGroupName });
    new CfnOutput(this, "SessionBucketName", {
      description: "Session logs and recordings; it stays when the stack is removed",
      value: storage.bucket.bucketName,
    });
    new CfnOutput(this, "KeyArn", {
      description: "What encrypts them; it stays as well",
      value: key.arn,
    });
  }

  /**
   * Names without a hash, since people read this template: the path in the tree, which is unique
   * anyway. `Resource` and `Default` are CDK's names for the one resource of a construct.
   */
  protected override allocateLogicalId(element: CfnElement): string {
    const path = element.node.path.split("/").slice(1);
    return path
      .filter((name) => name !== "Resource" && name !== "Default")
      .join("")
      .replace(/\W/g, "");
  }
}

/** The app with its one stack. */
export function app(): App {
  // CDK's own checks take the empty defaults of optional parameters for values; cfn-lint, which is
  // run by the tests, knows conditions.
  process.env.CDK_VALIDATION ??= "false";
  const app = new App({ treeMetadata: false, analyticsReporting: false });
  new VoiceStack(app, "voice-s2s");
  return app;
}

/** What `template.json` holds. */
export function templateText(): string {
  const template = app().synth().getStackByName("voice-s2s").template;
  return `${JSON.stringify(template, null, 1)}\n`;
}
