# A whole life by fog-aws: `ruby life.rb ENDPOINT KEY SECRET IMAGE`. Ends with "well" on a line of its own, or raises.
require "fog/aws"

endpoint, key, secret, image = ARGV
cloud = Fog::AWS::Compute.new(
  aws_access_key_id: key, aws_secret_access_key: secret, region: "us-east-1", endpoint: endpoint
)
Fog.interval = 0.1

def is(wanted, found)
  raise "wanted #{wanted.inspect}, found #{found.inspect}" unless wanted == found
end

# networks
vpc = cloud.vpcs.create(cidr_block: "10.9.0.0/16", tags: {"Name" => "a vpc"})
is "10.9.0.0/16", cloud.vpcs.get(vpc.id).cidr_block
zone = cloud.describe_availability_zones.body["availabilityZoneInfo"].first["zoneName"]
subnet = cloud.subnets.create(vpc_id: vpc.id, cidr_block: "10.9.1.0/24", availability_zone: zone)
cloud.subnets.get(subnet.subnet_id).wait_for(30) { ready? }
gateway = cloud.internet_gateways.create
gateway.attach(vpc.id)
table = cloud.route_tables.create(vpc_id: vpc.id)
cloud.create_route(table.id, "0.0.0.0/0", gateway.id)
cloud.associate_route_table(table.id, subnet.subnet_id)
is [subnet.subnet_id], cloud.route_tables.get(table.id).associations.map { |one| one["subnetId"] }

# keys and groups
pair = cloud.key_pairs.create(name: "mine")
is true, pair.private_key.include?("PRIVATE KEY")
is ["mine"], cloud.key_pairs.all.map(&:name)
group = cloud.security_groups.create(name: "web", description: "for the web", vpc_id: vpc.id)
group.authorize_port_range(22..22)
group.authorize_port_range(80..81, cidr_ip: "10.0.0.0/8")
seen = cloud.security_groups.get_by_id(group.group_id).ip_permissions
is [[22, "0.0.0.0/0"], [80, "10.0.0.0/8"]], seen.map { |one| [one["fromPort"], one["ipRanges"][0]["cidrIp"]] }.sort
group.revoke_port_range(80..81, cidr_ip: "10.0.0.0/8")
is 1, cloud.security_groups.get_by_id(group.group_id).ip_permissions.size

# servers; two, so that a question for one that is not understood would name the other
one, other = %w[one other].map do |name|
  cloud.servers.create(
    image_id: image, flavor_id: "t3.micro", key_name: "mine", subnet_id: subnet.subnet_id,
    security_group_ids: [group.group_id], user_data: "#!/bin/sh\n" + "# a long line\n" * 9, tags: {"Name" => name}
  )
end
[one, other].each { |server| server.wait_for(30) { ready? } }
is other.id, cloud.servers.get(other.id).id
is [one.id], cloud.servers.all("tag:Name" => "one").map(&:id)
is "one", cloud.servers.get(one.id).tags["Name"]
is "mine", one.key_name
is true, one.console_output.body["output"].to_s.size > 0
one.reboot
other.destroy
other.wait_for(30) { state == "terminated" }
is "running", cloud.servers.get(one.id).state

# tags
cloud.tags.create(resource_id: one.id, key: "Owner", value: "tests")
is ["tests"], cloud.tags.all("resource-id" => one.id, "key" => "Owner").map(&:value)
cloud.delete_tags(one.id, "Owner" => "tests")
is [], cloud.tags.all("resource-id" => one.id, "key" => "Owner").to_a

# volumes and snapshots
volume = cloud.volumes.create(availability_zone: zone, size: 1, type: "gp3", tags: {"Name" => "data"})
volume.wait_for(30) { ready? }
volume.attach(one.reload, "/dev/sdg")
volume.wait_for(30) { state == "in-use" }
is one.id, cloud.volumes.get(volume.id).server_id
is true, one.volumes.map(&:id).include?(volume.id)
snapshot = cloud.snapshots.create(volume_id: volume.id, description: "as it was")
snapshot.wait_for(30) { ready? }
volume.detach
volume.wait_for(30) { ready? }
volume.size = 2
volume.save
volume.wait_for(30) { size == 2 && ready? }
is true, snapshot.destroy
is true, volume.destroy
is nil, cloud.volumes.get(volume.id)

# addresses
address = cloud.addresses.create(domain: "vpc")
address.server = one
is address.public_ip, one.reload.public_ip_address
is [one.id], cloud.addresses.all.map(&:server_id)
address.reload.server = nil
is true, address.destroy
is [], cloud.addresses.all.to_a

# images
one.stop
one.wait_for(60) { state == "stopped" }
made = cloud.create_image(one.id, "copied", "by fog").body["imageId"]
cloud.images.get(made).wait_for(30) { ready? }
cloud.deregister_image(made)
is nil, cloud.images.get(made)
one.start
one.wait_for(30) { ready? }

# what is not there
begin
  cloud.servers.get("i-0123456789abcdef0").nil? or raise "a server that is not there was found"
  cloud.terminate_instances(["i-0123456789abcdef0"])
  raise "a server that is not there was ended"
rescue Fog::AWS::Compute::NotFound => error
  is true, error.message.start_with?("The instance ID")
end

# and all is gone
one.destroy
one.wait_for(30) { state == "terminated" }
group.destroy
pair.destroy
cloud.disassociate_route_table(cloud.route_tables.get(table.id).associations[0]["routeTableAssociationId"])
table.destroy
gateway.detach(vpc.id)
gateway.destroy
subnet.destroy
is true, vpc.destroy
is nil, cloud.vpcs.get(vpc.id)
puts "well"
