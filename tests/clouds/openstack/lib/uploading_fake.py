"""Nova's fake compute driver, made a little more useful to API tests.

Nova's own keeps a snapshot's image 'queued' for ever (nothing is uploaded),
answers the same three console lines for every server, and says nothing of a
server's devices, so that Nova fails at the end of detaching a volume that was
tagged, and has it for attached ever after.
"""

import io

from nova import exception, objects
from nova.compute import task_states
from nova.image import glance
from nova.virt import fake


class UploadingFakeDriver(fake.FakeDriver):
    capabilities = dict(
        fake.FakeDriver.capabilities,
        supports_image_type_qcow2=True,
        supports_image_type_iso=True,
        supports_image_type_aki=True,
        supports_image_type_ari=True,
        supports_image_type_ami=True,
    )

    def spawn(self, context, instance, *given, **named):
        super().spawn(context, instance, *given, **named)
        instance.device_metadata = objects.InstanceDeviceMetadata(devices=[])

    def snapshot(self, context, instance, image_id, update_task_state):
        if instance.uuid not in self.instances:
            raise exception.InstanceNotRunning(instance_id=instance.uuid)
        update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
        api = glance.API()
        have = api.get(context, image_id)
        meta = {
            "name": have["name"],
            "status": "active",
            "disk_format": have.get("disk_format") or "raw",
            "container_format": have.get("container_format") or "bare",
            "properties": {"image_location": "snapshot", "image_state": "available"},
        }
        update_task_state(task_state=task_states.IMAGE_UPLOADING, expected_state=task_states.IMAGE_PENDING_UPLOAD)
        api.update(context, image_id, meta, data=io.BytesIO(instance.uuid.encode() + bytes(65500)), purge_props=False)

    def get_console_output(self, context, instance):
        return f"Booting {instance.hostname}\nuuid: {instance.uuid}\nfake console output\nlogin: "
