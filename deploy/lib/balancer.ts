/**
 * The load balancer: TLS ends here, and every connection to a task comes from here.
 *
 * It knows nothing of calls. A WebSocket stays with the task it was opened to, whatever happens to
 * other connections; when the task is deregistered it stays open until it ends or the delay is over.
 */
import {
  aws_certificatemanager as acm,
  aws_ec2 as ec2,
  aws_elasticloadbalancingv2 as elb,
  aws_route53 as route53,
  Aws,
  Fn,
} from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Network } from "./network.ts";
import type { Parameters } from "./parameters.ts";

/** Where a task listens. */
export const PORT = 8080;

interface BalancerProps {
  given: Parameters;
  network: Network;
}

/** Balancer, listeners, target group, certificate and DNS record. */
export class Balancer extends Construct {
  readonly arn: string;
  readonly dnsName: string;
  /** As metrics name them. */
  readonly fullName: string;
  readonly targetGroupFullName: string;
  readonly targetGroupArn: string;
  readonly securityGroup: ec2.SecurityGroup;
  /** A service may only be made when a listener knows its target group. */
  readonly listener: elb.CfnListener;

  constructor(scope: Construct, id: string, { given, network }: BalancerProps) {
    super(scope, id);
    this.securityGroup = new ec2.SecurityGroup(this, "Access", {
      vpc: network.vpc,
      description: "The world to the load balancer",
      allowAllOutbound: false,
    });
    for (const port of [443, 80]) {
      this.securityGroup.addIngressRule(
        ec2.Peer.anyIpv4(),
        ec2.Port.tcp(port),
        port === 80 ? "Only to be sent to HTTPS" : "HTTPS and WebSockets",
      );
    }

    const balancer = new elb.CfnLoadBalancer(this, "Resource", {
      type: "application",
      scheme: "internet-facing",
      subnets: network.publicSubnetIds,
      securityGroups: [this.securityGroup.securityGroupId],
      loadBalancerAttributes: [
        { key: "idle_timeout.timeout_seconds", value: given.idleTimeout },
        // Longer than the longest call and its drain. It is about HTTP connections that are kept;
        // whether it ever ends an upgraded one is nowhere said.
        { key: "client_keep_alive.seconds", value: "7200" },
        { key: "routing.http.drop_invalid_header_fields.enabled", value: "true" },
        { key: "routing.http.desync_mitigation_mode", value: "defensive" },
        { key: "deletion_protection.enabled", value: given.deletionProtection },
        {
          key: "access_logs.s3.enabled",
          value: Fn.conditionIf(given.hasAccessLogs.logicalId, "true", "false").toString(),
        },
        Fn.conditionIf(
          given.hasAccessLogs.logicalId,
          { Key: "access_logs.s3.bucket", Value: given.accessLogBucket },
          { Ref: "AWS::NoValue" },
        ),
      ],
    });
    this.arn = balancer.ref;
    this.dnsName = balancer.attrDnsName;
    this.fullName = balancer.attrLoadBalancerFullName;

    const targets = new elb.CfnTargetGroup(this, "Targets", {
      vpcId: network.vpcId,
      targetType: "ip",
      protocol: "HTTP",
      port: PORT,
      // Liveness, which never fails for want of capacity: ECS ends a task that fails here
      // (`ops.md` §1.2).
      healthCheckPath: "/health",
      healthCheckIntervalSeconds: 10,
      healthCheckTimeoutSeconds: 5,
      healthyThresholdCount: 2,
      unhealthyThresholdCount: 3,
      matcher: { httpCode: "200" },
      targetGroupAttributes: [
        // A whole call fits: the longest is 55 minutes (CALL_LIMIT).
        { key: "deregistration_delay.timeout_seconds", value: given.deregistrationDelay },
        // Calls differ in length. It cannot be combined with a slow start.
        { key: "load_balancing.algorithm.type", value: "least_outstanding_requests" },
        { key: "stickiness.enabled", value: given.stickiness },
        { key: "stickiness.type", value: "lb_cookie" },
        { key: "stickiness.lb_cookie.duration_seconds", value: given.stickinessSeconds },
      ],
    });
    this.targetGroupArn = targets.ref;
    this.targetGroupFullName = targets.attrTargetGroupFullName;

    this.listener = new elb.CfnListener(this, "Https", {
      loadBalancerArn: balancer.ref,
      port: 443,
      protocol: "HTTPS",
      sslPolicy: "ELBSecurityPolicy-TLS13-1-2-2021-06",
      certificates: [{ certificateArn: this.certificate(given) }],
      defaultActions: [{ type: "forward", targetGroupArn: targets.ref }],
    });
    new elb.CfnListener(this, "Http", {
      loadBalancerArn: balancer.ref,
      port: 80,
      protocol: "HTTP",
      defaultActions: [
        {
          type: "redirect",
          redirectConfig: { protocol: "HTTPS", port: "443", statusCode: "HTTP_301" },
        },
      ],
    });

    const record = new route53.CfnRecordSet(this, "Record", {
      hostedZoneId: given.hostedZoneId,
      name: given.domainName,
      type: "A",
      aliasTarget: {
        dnsName: Fn.join("", ["dualstack.", balancer.attrDnsName]),
        hostedZoneId: balancer.attrCanonicalHostedZoneId,
      },
    });
    record.cfnOptions.condition = given.hasZone;
  }

  private certificate(given: Parameters): string {
    const own = new acm.CfnCertificate(this, "Certificate", {
      domainName: given.domainName,
      validationMethod: "DNS",
      domainValidationOptions: [{ domainName: given.domainName, hostedZoneId: given.hostedZoneId }],
      tags: [{ key: "Name", value: Aws.STACK_NAME }],
    });
    own.cfnOptions.condition = given.makeCertificate;
    return Fn.conditionIf(
      given.makeCertificate.logicalId,
      own.ref,
      given.certificateArn,
    ).toString();
  }
}
