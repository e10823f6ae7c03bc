"""A Cinder volume driver that keeps each volume in one sparse raw file.

For a test cloud on a machine without device-mapper, iSCSI, NFS or Ceph.  The
volumes are handed to Nova as 'gpfs' ones, the connector type that means "a
file already visible on the compute host", so that Nova's libvirt driver
attaches them for real and Nova's fake driver attaches them on paper.
"""

import contextlib
import os
import subprocess

from cinder import interface
from cinder.image import image_utils
from cinder.volume import configuration, driver, volume_utils
from oslo_config import cfg

OPTS = [
    cfg.StrOpt("file_backend_dir", default="/var/tmp/cinder-volumes", help="Folder of the volume and snapshot files")
]
cfg.CONF.register_opts(OPTS, group=configuration.SHARED_CONF_GROUP)


@interface.volumedriver
class FileDriver(driver.VolumeDriver):
    VERSION = "1.0"
    CI_WIKI_NAME = "none"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTS)
        self.folder = self.configuration.file_backend_dir

    def do_setup(self, context):
        os.makedirs(self.folder, exist_ok=True)

    def check_for_setup_error(self):
        pass

    # files ------------------------------------------------------------------
    def _path(self, obj):
        return os.path.join(self.folder, obj.name)

    @staticmethod
    def _size(path, gib):
        with open(path, "ab") as f:
            f.truncate(gib << 30)
        os.chmod(path, 0o666)

    @staticmethod
    def _remove(path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    @staticmethod
    def _copy(source, target):
        subprocess.run(["cp", "--sparse=auto", "--reflink=auto", source, target], check=True)

    # volumes ----------------------------------------------------------------
    def create_volume(self, volume):
        self._size(self._path(volume), volume.size)

    def delete_volume(self, volume):
        self._remove(self._path(volume))

    def create_snapshot(self, snapshot):
        self._copy(self._path(snapshot.volume), self._path(snapshot))

    def delete_snapshot(self, snapshot):
        self._remove(self._path(snapshot))

    def create_volume_from_snapshot(self, volume, snapshot):
        self._copy(self._path(snapshot), self._path(volume))
        self._size(self._path(volume), volume.size)

    def create_cloned_volume(self, volume, src_vref):
        self._copy(self._path(src_vref), self._path(volume))
        self._size(self._path(volume), volume.size)

    def extend_volume(self, volume, new_size):
        self._size(self._path(volume), new_size)

    # images -----------------------------------------------------------------
    def clone_image(self, *args, **kwargs):
        return None, False

    def copy_image_to_volume(self, context, volume, image_service, image_id, *args, **kwargs):
        path = self._path(volume)
        image_utils.fetch_to_raw(
            context,
            image_service,
            image_id,
            path,
            self.configuration.volume_dd_blocksize,
            size=volume.size,
            run_as_root=False,
        )
        self._size(path, volume.size)

    def copy_volume_to_image(self, context, volume, image_service, image_meta):
        volume_utils.upload_volume(context, image_service, image_meta, self._path(volume), volume, run_as_root=False)

    # connections ------------------------------------------------------------
    def create_export(self, context, volume, connector):
        pass

    def ensure_export(self, context, volume):
        pass

    def remove_export(self, context, volume):
        pass

    def initialize_connection(self, volume, connector, **kwargs):
        return {"driver_volume_type": "gpfs", "data": {"name": volume.name, "device_path": self._path(volume)}}

    def terminate_connection(self, volume, connector, **kwargs):
        pass

    def _update_volume_stats(self):
        self._stats = {
            "volume_backend_name": self.configuration.safe_get("volume_backend_name") or "file",
            "vendor_name": "test",
            "driver_version": self.VERSION,
            "storage_protocol": "file",
            "reserved_percentage": 0,
            "total_capacity_gb": 100000,
            "free_capacity_gb": 100000,
            "provisioned_capacity_gb": 0,
            "max_over_subscription_ratio": 20.0,
            "thin_provisioning_support": True,
            "thick_provisioning_support": False,
            "multiattach": True,
            "QoS_support": False,
        }
