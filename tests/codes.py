"""Every error code that may be answered: those of AWS's documents, and the few that HTTP forces on us.

Sources: "Error codes for the Amazon EC2 API" and "Common errors" in the API references of EC2 and STS. Three of them,
for malformed ids and locked snapshots, are of the same make as EC2's others, but stand in neither.
"""

from __future__ import annotations

COMMON = frozenset(
    """
    AuthFailure Blocked DryRunOperation IdempotentParameterMismatch IncompleteSignature InternalError
    InternalFailure InvalidAction InvalidCharacter InvalidClientTokenId InvalidPaginationToken InvalidParameter
    InvalidParameterCombination InvalidParameterValue InvalidQueryParameter MalformedQueryString MissingAction
    MissingAuthenticationToken MissingParameter NoSuchVersion NotAuthorized OptInRequired PendingVerification
    RequestExpired RequestLimitExceeded ServiceUnavailable SignatureDoesNotMatch Unavailable UnauthorizedOperation
    UnknownParameter UnsupportedInstanceAttribute UnsupportedOperation UnsupportedProtocol ValidationError
    """.split()  # noqa: SIM905 - as a list it would be two hundred lines
)

EC2 = frozenset(
    """
    AMILimitExceeded ActiveVpcPeeringConnectionPerVpcLimitExceeded AddressLimitExceeded AttachmentLimitExceeded
    BundleTaskError CannotDelete
    CustomerGatewayLimitExceeded DefaultSubnetAlreadyExistsInAvailabilityZone DefaultVpcAlreadyExists
    DependencyViolation EncryptedVolumesNotSupported FilterLimitExceeded Gateway.NotAttached IncorrectInstanceState
    IncorrectModificationState IncorrectState InstanceLimitExceeded InsufficientAddressCapacity InsufficientCapacity
    InsufficientFreeAddressesInSubnet InsufficientInstanceCapacity InsufficientVolumeCapacity
    InternetGatewayLimitExceeded InvalidAMIAttributeItemValue InvalidAMIID.Malformed InvalidAMIID.NotFound
    InvalidAMIID.Unavailable InvalidAMIName.Duplicate InvalidAMIName.Malformed InvalidAddress.NotFound
    InvalidAddressID.NotFound InvalidAllocationID.NotFound InvalidAssociationID.NotFound InvalidAttachment.NotFound
    InvalidAttachmentID.NotFound InvalidAvailabilityZone InvalidBlockDeviceMapping InvalidBundleID.NotFound
    InvalidCapacityReservationId.Malformed InvalidCapacityReservationId.NotFound InvalidCapacityReservationState
    InvalidConversionTaskId InvalidDevice.InUse InvalidDhcpOptionID.NotFound InvalidFormat InvalidGroup.Duplicate
    InvalidGroup.InUse InvalidGroup.NotFound InvalidGroup.Reserved InvalidGroupId.Malformed InvalidID
    InvalidIPAddress.InUse InvalidInput InvalidInstanceAttributeValue InvalidInstanceID
    InvalidInstanceID.Malformed InvalidInstanceID.NotFound InvalidInstanceType InvalidInterface.IpAddressLimitExceeded
    InvalidInternetGatewayID.NotFound InvalidKey.Format InvalidKeyPair.Duplicate InvalidKeyPair.Format
    InvalidKeyPair.NotFound InvalidLaunchTemplateId.Malformed InvalidLaunchTemplateId.NotFound
    InvalidLaunchTemplateId.VersionNotFound InvalidLaunchTemplateName.AlreadyExistsException
    InvalidLaunchTemplateName.MalformedException InvalidLaunchTemplateName.NotFoundException
    InvalidManifest InvalidNetworkAclID.NotFound InvalidNetworkInterface.InUse InvalidNetworkInterfaceID.NotFound
    InvalidNetworkInterfaceId.Malformed InvalidNextToken InvalidParameterDependency InvalidPermission.Duplicate
    InvalidPermission.Malformed InvalidPermission.NotFound InvalidPlacementGroup.Duplicate
    InvalidPlacementGroup.InUse InvalidPlacementGroup.Unknown InvalidPlacementGroupId.Malformed
    InvalidRamdiskId.NotFound InvalidRequest InvalidRoute.NotFound InvalidRouteTableID.NotFound
    InvalidSecurity.RequestHasExpired InvalidSecurityGroupID.NotFound InvalidSecurityGroupRuleId.Malformed
    InvalidSecurityGroupRuleId.NotFound InvalidSnapshot.InUse InvalidSnapshot.NotFound InvalidSnapshotID.Malformed
    InvalidSpotInstanceRequestID.Malformed InvalidSpotInstanceRequestID.NotFound InvalidState
    InvalidSubnetID.Malformed InvalidSubnetID.NotFound InvalidTagKey.Malformed InvalidTargetArn.Unknown
    InvalidUserData.Malformed InvalidUserID.Malformed InvalidVolume.NotFound InvalidVolume.ZoneMismatch
    InvalidVolumeID.Malformed InvalidVolumeModification.NotFound InvalidVpcID.Malformed InvalidVpcID.NotFound
    InvalidZone.NotFound KeyPairLimitExceeded LegacySecurityGroup MaxIOPSLimitExceeded MaxSpotInstanceCountExceeded
    NetworkAclLimitExceeded NonEBSInstance NotExportable OperationNotPermitted PlacementGroupLimitExceeded
    Resource.AlreadyAssociated ResourceCountExceeded ResourceLimitExceeded RouteLimitExceeded
    RouteTableLimitExceeded RulesPerSecurityGroupLimitExceeded SecurityGroupLimitExceeded
    SecurityGroupsPerInstanceLimitExceeded SecurityGroupsPerInterfaceLimitExceeded SnapshotCreationPerVolumeRateExceeded
    SnapshotLimitExceeded SubnetLimitExceeded TagLimitExceeded TagPolicyViolation TargetCapacityLimitExceededException
    UnfulfillableCapacity UnknownVolumeType Unsupported UnsupportedHibernationConfiguration VolumeIOPSLimit VolumeInUse
    VolumeLimitExceeded VpcLimitExceeded InvalidCarrierGatewayID.NotFound IncorrectCapacityReservationState
    InvalidIamInstanceProfileAssociationId.Malformed NoSuchAssociation InvalidAssociationID.Malformed
    InvalidAllocationID.Malformed SnapshotLocked InvalidVpc.Range InvalidSubnet.Range InvalidSubnet.Conflict
    CidrConflict CidrLimitExceeded InvalidVpcCidrBlockAssociationIdError.NotFound DefaultVpcDoesNotExist
    InvalidVpcCidrBlockAssociationID.Malformed RouteAlreadyExists InvalidRouteTableID.Malformed
    InvalidInternetGatewayId.Malformed InvalidGatewayID.NotFound NetworkInterfaceLimitExceeded NatGatewayLimitExceeded
    VpcEndpointLimitExceeded VcpuLimitExceeded
    InvalidVpnGatewayID.NotFound InvalidVpnGatewayID.Malformed InvalidCustomerGatewayId.Malformed
    InvalidCustomerGatewayID.NotFound InvalidVpnConnectionID.Malformed InvalidVpnConnectionID.NotFound
    InvalidVpnGatewayAttachment.NotFound InvalidVpnGatewayState VpnGatewayLimitExceeded VpnConnectionLimitExceeded
    PrivateIpAddressLimitExceeded NatGatewayMalformed NatGatewayNotFound InvalidEgressOnlyInternetGatewayId.Malformed
    InvalidVpcPeeringConnectionId.Malformed InvalidVpcPeeringConnectionID.NotFound InvalidVpcEndpointId.Malformed
    InvalidVpcEndpointId.NotFound InvalidPrefixListId.Malformed InvalidPrefixListID.NotFound InvalidServiceName
    OutstandingVpcPeeringConnectionLimitExceeded VpcPeeringConnectionAlreadyExists InvalidStateTransition
    InvalidPolicyDocument InvalidAttachmentID.Malformed VPCIdNotSpecified InvalidNetworkAclID.Malformed
    NetworkAclEntryAlreadyExists
    InvalidNetworkAclEntry.NotFound NetworkAclEntryLimitExceeded InvalidDhcpOptionsId.Malformed
    InvalidFleetId.Malformed InvalidFleetId.NotFound InvalidHostID.NotFound InvalidFlowLogId.NotFound
    InvalidExportTaskID.NotFound
    """.split()  # noqa: SIM905 - as a list it would be two hundred lines
)

HTTP = frozenset({"MethodNotAllowed", "RequestEntityTooLarge", "RequestHeaderFieldsTooLarge", "MalformedHttpRequest"})
"""What HTTP refuses before there is any AWS request."""

KNOWN = COMMON | EC2 | HTTP
