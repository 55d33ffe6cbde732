/**
 * A way from one security group to another: a rule at either end. Used by the service and the cache.
 */
import { aws_ec2 as ec2, type CfnResource } from "aws-cdk-lib";
import { Construct } from "constructs";

interface WayProps {
  from: ec2.SecurityGroup;
  to: ec2.SecurityGroup;
  port: number;
  description: string;
}

/** TCP on one port. */
export class Way extends Construct {
  /** Both rules. */
  readonly rules: CfnResource[];

  constructor(scope: Construct, id: string, { from, to, port, description }: WayProps) {
    super(scope, id);
    const rule = { ipProtocol: "tcp", fromPort: port, toPort: port, description };
    this.rules = [
      new ec2.CfnSecurityGroupEgress(this, "Out", {
        ...rule,
        groupId: from.securityGroupId,
        destinationSecurityGroupId: to.securityGroupId,
      }),
      new ec2.CfnSecurityGroupIngress(this, "In", {
        ...rule,
        groupId: to.securityGroupId,
        sourceSecurityGroupId: from.securityGroupId,
      }),
    ];
  }
}
