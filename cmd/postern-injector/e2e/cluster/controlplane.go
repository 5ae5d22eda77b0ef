package cluster

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

const egressConfig = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection: {proxyProtocol: HTTPConnect, transport: {uds: {udsName: %q}}}
- name: etcd
  connection: {proxyProtocol: Direct}
- name: controlplane
  connection: {proxyProtocol: Direct}
`

// startAPI starts etcd and kube-apiserver, and returns when the latter is ready.
func (c *Cluster) startAPI() error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	etcd, peer := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	c.Address = "127.0.0.1:" + ports[2]
	c.Server = "https://" + c.Address
	if err := c.writeKubeconfig(c.Kubeconfig, c.Token); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"tokens.csv":  c.Token + ",admin,admin,system:masters\n",
		"egress.yaml": fmt.Sprintf(egressConfig, c.Egress.socket),
	} {
		if err := os.WriteFile(filepath.Join(c.Dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := c.run("etcd", "--data-dir=etcd", "--unsafe-no-fsync", "--log-level=warn", "--listen-client-urls="+etcd, "--advertise-client-urls="+etcd,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer); err != nil {
		return err
	}
	flags := []string{
		"--etcd-servers=" + etcd, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=" + ports[2], "--endpoint-reconciler-type=none",
		"--cert-dir=.", "--tls-cert-file=api.crt", "--tls-private-key-file=api.key", "--token-auth-file=tokens.csv", "--authorization-mode=RBAC",
		"--service-cluster-ip-range=" + ServiceRange, "--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=sa.key", "--service-account-signing-key-file=sa.key", "--egress-selector-config-file=egress.yaml",
		"--allow-privileged=true",
		"--kubelet-certificate-authority=ca.crt", "--kubelet-client-certificate=client.crt", "--kubelet-client-key=client.key",
		"--kubelet-preferred-address-types=InternalIP",
	}
	if !c.options.Controllers { // nobody makes the account `default` of a namespace
		flags = append(flags, "--disable-admission-plugins=ServiceAccount")
	}
	if err := c.run("kube-apiserver", append(flags, c.options.APIServer...)...); err != nil {
		return err
	}
	return c.await("kube-apiserver is ready", func(ctx context.Context) error {
		return c.Do(ctx, http.MethodGet, "/readyz", nil, nil)
	})
}

// startControllers starts the controller manager and the scheduler, and returns when the first sign of their work is there.
func (c *Cluster) startControllers() error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	common := []string{"--kubeconfig=kubeconfig", "--bind-address=127.0.0.1", "--leader-elect=false", "--kube-api-qps=500", "--kube-api-burst=1000"}
	if err := c.run("kube-controller-manager", append(common, "--secure-port="+ports[0], "--cert-dir=controllers",
		"--service-account-private-key-file=sa.key", "--root-ca-file=ca.crt")...); err != nil {
		return err
	}
	if err := c.run("kube-scheduler", append(common, "--secure-port="+ports[1], "--cert-dir=scheduler")...); err != nil {
		return err
	}
	return c.await("kube-controller-manager has made the service account of the namespace default", func(ctx context.Context) error {
		return c.Do(ctx, http.MethodGet, "/api/v1/namespaces/default/serviceaccounts/default", nil, nil)
	})
}

func (c *Cluster) writeKubeconfig(path, token string) error {
	return os.WriteFile(path, []byte(strings.NewReplacer("SERVER", c.Server, "CA", filepath.Join(c.Dir, "ca.crt"), "TOKEN", token).Replace(
		`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "SERVER", certificate-authority: "CA"}}]
users: [{name: test, user: {token: "TOKEN"}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
`)), 0o600)
}

// freePorts are ports of loopback that nobody listened on a moment ago.
func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at once at the end, so that no port comes twice
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}
