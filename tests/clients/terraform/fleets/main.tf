# A fleet of each type that is served: on demand and spot, by name and by requirements.

data "aws_ami" "tiny" {
  owners = ["amazon"]
  filter {
    name   = "name"
    values = ["isthmus-tiny"]
  }
}

resource "aws_launch_template" "web" {
  name          = "web"
  image_id      = data.aws_ami.tiny.id
  instance_type = "t3.micro"
}

resource "aws_ec2_fleet" "instant" {
  type                = "instant"
  terminate_instances = true
  launch_template_config {
    launch_template_specification {
      launch_template_id = aws_launch_template.web.id
      version            = aws_launch_template.web.latest_version
    }
    override {
      instance_type = "t3.small"
      priority      = 1
    }
    override {
      instance_type = "t3.micro"
      priority      = 2
    }
  }
  on_demand_options {
    allocation_strategy = "prioritized"
  }
  target_capacity_specification {
    default_target_capacity_type = "on-demand"
    total_target_capacity        = 2
  }
  tags = { Name = "instant" }
}

resource "aws_ec2_fleet" "request" {
  type                = "request"
  terminate_instances = false # the provider waits for five minutes otherwise
  launch_template_config {
    launch_template_specification {
      launch_template_id = aws_launch_template.web.id
      version            = "$Latest"
    }
    override {
      instance_requirements {
        vcpu_count {
          min = 1
          max = 2
        }
        memory_mib {
          min = 512
        }
        burstable_performance = "included"
      }
    }
  }
  spot_options {
    allocation_strategy = "diversified"
  }
  target_capacity_specification {
    default_target_capacity_type = "spot"
    total_target_capacity        = 3
    on_demand_target_capacity    = 1
    spot_target_capacity         = 2
  }
}
