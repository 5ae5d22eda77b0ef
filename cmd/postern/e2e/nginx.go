package e2e

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const installNginx = "apt-get install nginx, or run .ci/test"

// Nginx runs a real nginx with one server on a port of this machine: locations is what stands in its block. It returns when nginx takes connections.
func Nginx(t testing.TB, port, locations string) {
	t.Helper()
	path := program(t, installNginx, "nginx", "/usr/sbin/nginx")
	dir := t.TempDir()
	config := filepath.Join(dir, "nginx.conf")
	text := `
daemon off;
master_process off;
pid ` + dir + `/pid;
events {}
http {
  access_log off;
  client_body_temp_path ` + dir + `/body;
  proxy_temp_path ` + dir + `/proxy;
  fastcgi_temp_path ` + dir + `/fastcgi;
  uwsgi_temp_path ` + dir + `/uwsgi;
  scgi_temp_path ` + dir + `/scgi;
  server {
    listen 127.0.0.1:` + port + `;
` + locations + `
  }
}
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log capture
	running := spawn(t, &log, &log, dir, nil, path, "-e", "stderr", "-p", dir, "-c", config)
	Eventually(t, "waiting for nginx", func() error {
		if !running.alive() {
			t.Fatalf("nginx ended:\n%s", log.String())
		}
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	})
}
