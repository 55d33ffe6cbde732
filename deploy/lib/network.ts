/**
 * Where everything stands: a VPC that is there, or a new one with two zones.
 *
 * A task's way out is a NAT gateway of its own zone, so that a zone that fails takes half of the
 * calls and not all; S3 has a way of its own, which costs nothing. No task has a public address.
 */
import {
  Aws,
  aws_ec2 as ec2,
  aws_iam as iam,
  aws_logs as logs,
  type CfnResource,
  Fn,
  RemovalPolicy,
  Token,
} from "aws-cdk-lib";
import { Construct } from "constructs";

import type { EncryptionKey } from "./key.ts";
import { onlyIf } from "./only.ts";
import type { Parameters } from "./parameters.ts";

const ZONES = [0, 1];

interface NetworkProps {
  given: Parameters;
  key: EncryptionKey;
}

/** The VPC in use, whoever made it. */
export class Network extends Construct {
  readonly vpc: ec2.IVpc;
  readonly vpcId: string;
  readonly publicSubnetIds: string[];
  readonly privateSubnetIds: string[];
  /** What has to be there before a task can reach anything. */
  readonly ways: CfnResource[];
  /** From which addresses tasks reach the internet, as blocks, where that is known. */
  readonly natAddresses: string[];

  constructor(scope: Construct, id: string, { given, key }: NetworkProps) {
    super(scope, id);
    const own = new OwnVpc(this, "Own", { given, key });
    onlyIf(own, given.createNetwork);
    this.ways = own.ways;

    const either = (mine: unknown, theirs: unknown) =>
      Fn.conditionIf(given.createNetwork.logicalId, mine, theirs);
    this.vpcId = either(own.vpcId, given.vpcId).toString();
    this.publicSubnetIds = Token.asList(either(own.publicSubnetIds, given.publicSubnetIds));
    this.privateSubnetIds = Token.asList(either(own.privateSubnetIds, given.privateSubnetIds));
    this.natAddresses = Token.asList(either(own.natAddresses, given.natAddresses));
    // The constructs of CDK want a VPC only to know its id.
    this.vpc = ec2.Vpc.fromVpcAttributes(this, "Vpc", {
      vpcId: this.vpcId,
      availabilityZones: ZONES.map((zone) => Fn.select(zone, Fn.getAzs())),
    });
  }
}

class OwnVpc extends Construct {
  readonly vpcId: string;
  readonly publicSubnetIds: string[];
  readonly privateSubnetIds: string[];
  readonly ways: CfnResource[] = [];
  readonly natAddresses: string[] = [];

  constructor(scope: Construct, id: string, { given, key }: NetworkProps) {
    super(scope, id);
    const tags = (part: string) => [{ key: "Name", value: `${Aws.STACK_NAME}-${part}` }];
    const vpc = new ec2.CfnVPC(this, "Vpc", {
      cidrBlock: given.vpcCidr,
      enableDnsHostnames: true,
      enableDnsSupport: true,
      tags: tags("vpc"),
    });
    this.vpcId = vpc.ref;
    const gateway = new ec2.CfnInternetGateway(this, "InternetGateway", { tags: tags("internet") });
    const attachment = new ec2.CfnVPCGatewayAttachment(this, "InternetGatewayAttachment", {
      vpcId: vpc.ref,
      internetGatewayId: gateway.ref,
    });
    // Four equal parts: two for the balancer, two for the tasks.
    const parts = Fn.cidr(vpc.attrCidrBlock, 4, "12");

    const publicRoutes = new ec2.CfnRouteTable(this, "PublicRoutes", {
      vpcId: vpc.ref,
      tags: tags("public"),
    });
    new ec2.CfnRoute(this, "PublicRoute", {
      routeTableId: publicRoutes.ref,
      destinationCidrBlock: "0.0.0.0/0",
      gatewayId: gateway.ref,
    }).addResourceDependency(attachment);

    const privateRoutes: string[] = [];
    const zones = ZONES.map((zone) => {
      const letter = "AB"[zone];
      const subnet = (name: string, part: number, routes: ec2.CfnRouteTable) => {
        const subnet = new ec2.CfnSubnet(this, `${name}${letter}`, {
          vpcId: vpc.ref,
          availabilityZone: Fn.select(zone, Fn.getAzs()),
          cidrBlock: Fn.select(part, parts),
          mapPublicIpOnLaunch: false,
          tags: tags(`${name.toLowerCase()}-${letter.toLowerCase()}`),
        });
        this.ways.push(
          new ec2.CfnSubnetRouteTableAssociation(this, `${name}${letter}Routes`, {
            subnetId: subnet.ref,
            routeTableId: routes.ref,
          }),
        );
        return subnet;
      };
      const open = subnet("Public", zone, publicRoutes);
      const address = new ec2.CfnEIP(this, `Address${letter}`, {
        domain: "vpc",
        tags: tags("nat"),
      });
      address.addResourceDependency(attachment);
      this.natAddresses.push(Fn.join("", [address.attrPublicIp, "/32"]));
      const nat = new ec2.CfnNatGateway(this, `Nat${letter}`, {
        subnetId: open.ref,
        allocationId: address.attrAllocationId,
        tags: tags("nat"),
      });
      const routes = new ec2.CfnRouteTable(this, `Routes${letter}`, {
        vpcId: vpc.ref,
        tags: tags("private"),
      });
      privateRoutes.push(routes.ref);
      this.ways.push(
        new ec2.CfnRoute(this, `Route${letter}`, {
          routeTableId: routes.ref,
          destinationCidrBlock: "0.0.0.0/0",
          natGatewayId: nat.ref,
        }),
      );
      return { open: open.ref, closed: subnet("Private", ZONES.length + zone, routes).ref };
    });
    this.publicSubnetIds = zones.map((zone) => zone.open);
    this.privateSubnetIds = zones.map((zone) => zone.closed);

    new ec2.CfnVPCEndpoint(this, "S3", {
      vpcId: vpc.ref,
      vpcEndpointType: "Gateway",
      serviceName: `com.amazonaws.${Aws.REGION}.s3`,
      routeTableIds: privateRoutes,
    });
    this.flowLog(vpc.ref, key);
  }

  /** What was refused, for whoever looks for an attack or for a rule that is missing. */
  private flowLog(vpcId: string, key: EncryptionKey): void {
    const group = new logs.LogGroup(this, "FlowLogs", {
      retention: logs.RetentionDays.TWO_WEEKS,
      encryptionKey: key.key,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new iam.Role(this, "FlowLogsRole", {
      assumedBy: new iam.ServicePrincipal("vpc-flow-logs.amazonaws.com", {
        conditions: { StringEquals: { "aws:SourceAccount": Aws.ACCOUNT_ID } },
      }),
      inlinePolicies: {
        write: new iam.PolicyDocument({
          statements: [
            new iam.PolicyStatement({
              actions: ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
              resources: [group.logGroupArn],
            }),
          ],
        }),
      },
    });
    new ec2.CfnFlowLog(this, "FlowLog", {
      resourceId: vpcId,
      resourceType: "VPC",
      trafficType: "REJECT",
      logDestinationType: "cloud-watch-logs",
      logGroupName: group.logGroupName,
      deliverLogsPermissionArn: role.roleArn,
    });
  }
}
