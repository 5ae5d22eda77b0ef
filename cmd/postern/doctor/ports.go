package doctor

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"postern/config"
)

// ports tries whether the listeners could be opened, and closes each at once.
func (w World) ports(ctx context.Context) []Finding {
	const check = "ports"
	var found []Finding
	listeners := listenersOf(w.Config)
	running := w.Running != nil && w.Running(ctx) == nil
	for _, l := range listeners {
		err := tryListen(ctx, l.address)
		switch {
		case err == nil:
		case errors.Is(err, syscall.EADDRINUSE) && running:
		case errors.Is(err, syscall.EADDRINUSE):
			found = append(found, problem(check, "End what listens there (ss -ltnp shows it), or give another port. A sidecar is known by its probes or metrics.", "%s: %s is taken by another program", l.option, l.address))
		case errors.Is(err, syscall.EACCES), errors.Is(err, fs.ErrPermission):
			found = append(found, problem(check, "Take a port of 1024 or more, or a directory that this user may write to.", "%s: %s may not be opened by this user", l.option, l.address))
		default:
			found = append(found, problem(check, "Correct the address: it must be one of this machine's.", "%s: %s cannot be opened: %v", l.option, l.address, err))
		}
	}
	if running {
		return judged(found, check, "the sidecar of this configuration runs here")
	}
	return judged(found, check, "all %d are free", len(listeners))
}

type listener struct{ option, address string }

// listenersOf are those that would be opened.
func listenersOf(cfg *config.Config) []listener {
	all := []listener{{"metrics-bind-address", cfg.Server.MetricsBindAddress}, {"probe-bind-address", cfg.Server.ProbeBindAddress}, {"admin.bind-address", cfg.Admin.BindAddress}}
	if cfg.HasFrontDoor() {
		all = append(all, listener{"bind-address", cfg.Server.BindAddress}, listener{"forward-auth.bind-address", cfg.ForwardAuth.BindAddress})
	}
	if cfg.TokenAPIEnabled() {
		all = append(all, listener{"token.bind-address", cfg.Token.BindAddress})
	}
	if len(cfg.Egress.Routes) > 0 {
		all = append(all, listener{"egress.bind-address", cfg.Egress.BindAddress})
	}
	var set []listener
	for _, l := range all {
		if l.address != "" {
			set = append(set, l)
		}
	}
	return set
}

// tryListen opens and closes a TCP listener. Of a Unix socket it looks at the directory alone: opening would make a file.
func tryListen(ctx context.Context, address string) error {
	if path, isUnix := strings.CutPrefix(address, "unix:"); isUnix {
		info, err := os.Stat(filepath.Dir(path))
		if err == nil && !info.IsDir() {
			err = syscall.ENOTDIR
		}
		if err == nil {
			err = writable(filepath.Dir(path))
		}
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}
