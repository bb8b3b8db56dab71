/* HOME, where the configuration gives none: runc takes it from the container's own /etc/passwd, and programs rely on it. */
#ifndef VG_HOME_H
#define VG_HOME_H

/* In the container's root and as its user. `environment` itself when it has a HOME; else a copy with one, of which the caller
 * frees the array and the last string. "/" for a user that the file does not name, as runc has it. -ENOMEM. */
int vg_home_complete(char **environment, char ***ret_environment);

#endif
