package kube

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"postern/config"
)

// kubeconfig is what is read of such a file; keys that are not here are looked for by name in refuse.
type kubeconfig struct {
	CurrentContext string `yaml:"current-context"`
	Clusters       []struct {
		Name    string         `yaml:"name"`
		Cluster map[string]any `yaml:"cluster"`
	} `yaml:"clusters"`
	Users []struct {
		Name string         `yaml:"name"`
		User map[string]any `yaml:"user"`
	} `yaml:"users"`
	Contexts []struct {
		Name    string `yaml:"name"`
		Context struct {
			Cluster string `yaml:"cluster"`
			User    string `yaml:"user"`
		} `yaml:"context"`
	} `yaml:"contexts"`
}

// static is a credential that does not change.
type static struct {
	rt     *http.Transport
	bearer string
}

func (s static) transport() (http.RoundTripper, error) { return s.rt, nil }
func (s static) token() (string, error)                { return s.bearer, nil }

// FromKubeconfig is the client of a file's current context: a token or a client certificate. Programs that make credentials, and switching off
// the check of the server's certificate, are refused.
func FromKubeconfig(path string) (*Client, error) {
	text, err := config.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	c, err := fromKubeconfig(text, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	return c, nil
}

func fromKubeconfig(text []byte, dir string) (*Client, error) {
	var file kubeconfig
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&file); err != nil {
		return nil, errors.New("not YAML of a kubeconfig") // the parser's message may repeat a token
	}
	cluster, user, err := file.current()
	if err != nil {
		return nil, err
	}
	if err := refuse("cluster", cluster, "insecure-skip-tls-verify", "proxy-url"); err != nil {
		return nil, err
	}
	if err := refuse("user", user, "exec", "auth-provider", "username", "as", "as-uid", "as-groups", "as-user-extra"); err != nil {
		return nil, err
	}
	s, err := staticAccess(cluster, user, dir)
	if err != nil {
		return nil, err
	}
	return newClient(stringAt(cluster, "server"), s)
}

// current is the cluster and the user of the current context.
func (k *kubeconfig) current() (cluster, user map[string]any, err error) {
	for _, c := range k.Contexts {
		if c.Name != k.CurrentContext {
			continue
		}
		for _, one := range k.Clusters {
			if one.Name == c.Context.Cluster {
				cluster = one.Cluster
			}
		}
		for _, one := range k.Users {
			if one.Name == c.Context.User {
				user = one.User
			}
		}
		if cluster == nil || user == nil {
			return nil, nil, fmt.Errorf("context %q names a cluster or a user that is not there", c.Name)
		}
		return cluster, user, nil
	}
	return nil, nil, fmt.Errorf("no context %q, which current-context names", k.CurrentContext)
}

// refuse names what is set and would be passed over; false and "" are as good as absent.
func refuse(where string, entry map[string]any, keys ...string) error {
	for _, key := range keys {
		if value, ok := entry[key]; ok && value != nil && value != false && value != "" {
			return fmt.Errorf("%s: %s is not supported: want a token or a client certificate, and a CA", where, key)
		}
	}
	return nil
}

func staticAccess(cluster, user map[string]any, dir string) (static, error) {
	ca, err := material(cluster, "certificate-authority", dir)
	if err != nil {
		return static{}, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return static{}, errors.New("certificate-authority: no certificate")
	}
	cert, err := material(user, "client-certificate", dir)
	if err != nil {
		return static{}, err
	}
	key, err := material(user, "client-key", dir)
	if err != nil {
		return static{}, err
	}
	var certificates []tls.Certificate
	if cert != nil || key != nil {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return static{}, fmt.Errorf("client-certificate: %w", err)
		}
		certificates = append(certificates, pair)
	}
	s := static{rt: newTransport(roots, stringAt(cluster, "tls-server-name"), certificates...), bearer: stringAt(user, "token")}
	if path := stringAt(user, "tokenFile"); path != "" {
		token, err := config.ReadFile(beside(dir, path))
		if err != nil {
			return static{}, fmt.Errorf("tokenFile: %w", err)
		}
		s.bearer = strings.TrimSpace(string(token))
	}
	if strings.ContainsAny(s.bearer, "\r\n") {
		return static{}, errors.New("token: not one line")
	}
	return s, nil
}

func stringAt(entry map[string]any, key string) string {
	text, _ := entry[key].(string)
	return text
}

// material is what KEY-data holds in base64, or the file that KEY names; nil if neither is there.
func material(entry map[string]any, key, dir string) ([]byte, error) {
	if data := stringAt(entry, key+"-data"); data != "" {
		out, err := base64.StdEncoding.DecodeString(data)
		if err != nil {
			return nil, fmt.Errorf("%s-data: not base64", key)
		}
		return out, nil
	}
	path := stringAt(entry, key)
	if path == "" {
		return nil, nil
	}
	out, err := config.ReadFile(beside(dir, path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return out, nil
}

// beside is a path as the kubeconfig means it: relative to the file.
func beside(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
