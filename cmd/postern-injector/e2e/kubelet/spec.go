package kubelet

// spec is what a shim is told: the process that it shall become.
type spec struct {
	Join     int    // process whose file system to enter; 0: make one
	Lower    string // the image's file system
	Work     string // an empty directory to work in
	ReadOnly bool   // the root, not the volumes
	Mounts   []mount
	Hostname string
	UID, GID int
	Groups   []int
	Dir      string
	Args     []string
	Env      []string
	Check    bool // say [checked] instead of running anything
}

// mount shows a file or directory of this machine in the container.
type mount struct {
	Source, Target string
	ReadOnly       bool
}

// checked is what a shim says that could do everything.
const checked = "this machine can run containers"
