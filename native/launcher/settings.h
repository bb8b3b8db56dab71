/* Settings of the launcher: "key=value" lines of a flat file, each beaten by the environment variable VIGIL_KEY. The file is
 * compiled from /etc/vigil/config.toml, for nothing that containerd waits for may parse TOML. */
#ifndef VG_SETTINGS_H
#define VG_SETTINGS_H

struct vg_settings {
        char protocol[16];   /* "ttrpc" or "grpc" */
        int version;         /* 2 or 3 */
        char node[256];      /* empty: the core looks in its PATH */
        char run_dir[128];   /* /run/vigil */
        char state_dir[128]; /* /var/lib/vigil */
        char lib_dir[256];   /* where vigil-core and the daemon are */
};

/* -EINVAL with a message when a value is not one of those allowed. */
int vg_settings_load(struct vg_settings *ret_settings, char ret_message[256]);

#endif
