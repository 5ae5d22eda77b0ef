package kubelet

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// volumes are those of a pod: a directory each, which the containers see where they mount it.
type volumes struct {
	pod *pod

	mu     sync.Mutex
	ready  bool
	tokens map[string]string // audience → a token that was asked for once; it outlives every test
	last   map[string]map[string]file
}

// file is the content of one in a volume.
type file struct {
	data string
	mode os.FileMode
}

func newVolumes(p *pod) *volumes {
	return &volumes{pod: p, tokens: map[string]string{}, last: map[string]map[string]file{}}
}

func (v *volumes) dir(name string) string { return filepath.Join(v.pod.dir, "volumes", name) }

// prepare makes all volumes, or says what they still wait for.
func (v *volumes) prepare() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range v.pod.object.Spec.Volumes {
		volume := &v.pod.object.Spec.Volumes[i]
		if err := os.MkdirAll(v.dir(volume.Name), 0o755); err != nil {
			return err
		}
		if volume.EmptyDir != nil {
			if err := v.openToAll(v.dir(volume.Name)); err != nil {
				return err
			}
			continue
		}
		if err := v.write(volume); err != nil {
			err = fmt.Errorf("MountVolume.SetUp failed for volume %q: %w", volume.Name, err)
			for _, c := range v.pod.all() {
				c.waits(waitingError{"ContainerCreating", err.Error()})
			}
			return err
		}
	}
	v.ready = true
	return nil
}

// openToAll is what an emptyDir is: everybody in the pod may write there.
func (v *volumes) openToAll(dir string) error {
	if sc := v.pod.object.Spec.SecurityContext; sc != nil && sc.FSGroup != nil {
		if err := os.Chown(dir, 0, int(*sc.FSGroup)); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o777|os.ModeSetgid) // #nosec G302 -- as a kubelet does
}

// update brings the files in line with what they are made from. What has vanished since leaves its last files behind.
func (v *volumes) update() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.ready {
		return
	}
	for i := range v.pod.object.Spec.Volumes {
		if volume := &v.pod.object.Spec.Volumes[i]; volume.EmptyDir == nil {
			_ = v.write(volume) // the next change is another chance
		}
	}
}

func (v *volumes) write(volume *corev1.Volume) error {
	files, err := v.content(volume)
	if err != nil {
		return err
	}
	if last, ok := v.last[volume.Name]; ok && maps.Equal(last, files) {
		return nil
	}
	group := -1
	if sc := v.pod.object.Spec.SecurityContext; sc != nil && sc.FSGroup != nil {
		group = int(*sc.FSGroup)
	}
	if err := replace(v.dir(volume.Name), files, group); err != nil {
		return err
	}
	v.last[volume.Name] = files
	return nil
}

// content is what the files of a volume shall be.
func (v *volumes) content(volume *corev1.Volume) (map[string]file, error) {
	files := map[string]file{}
	switch s := volume.VolumeSource; {
	case s.ConfigMap != nil:
		data, err := v.pod.configMap(s.ConfigMap.Name, s.ConfigMap.Optional)
		return files, take(files, data, err, s.ConfigMap.Items, s.ConfigMap.DefaultMode, s.ConfigMap.Optional)
	case s.Secret != nil:
		data, err := v.pod.secret(s.Secret.SecretName, s.Secret.Optional)
		return files, take(files, data, err, s.Secret.Items, s.Secret.DefaultMode, s.Secret.Optional)
	case s.DownwardAPI != nil:
		return files, v.fields(files, s.DownwardAPI.Items, s.DownwardAPI.DefaultMode)
	case s.Projected != nil:
		for _, from := range s.Projected.Sources {
			if err := v.project(files, from, s.Projected.DefaultMode); err != nil {
				return nil, err
			}
		}
		return files, nil
	default:
		return nil, fmt.Errorf("a volume of a kind that is not known here")
	}
}

func (v *volumes) project(files map[string]file, from corev1.VolumeProjection, mode *int32) error {
	switch {
	case from.ConfigMap != nil:
		data, err := v.pod.configMap(from.ConfigMap.Name, from.ConfigMap.Optional)
		return take(files, data, err, from.ConfigMap.Items, mode, from.ConfigMap.Optional)
	case from.Secret != nil:
		data, err := v.pod.secret(from.Secret.Name, from.Secret.Optional)
		return take(files, data, err, from.Secret.Items, mode, from.Secret.Optional)
	case from.DownwardAPI != nil:
		return v.fields(files, from.DownwardAPI.Items, mode)
	case from.ServiceAccountToken != nil:
		token, err := v.token(from.ServiceAccountToken)
		files[from.ServiceAccountToken.Path] = file{token, permissions(nil, mode)}
		return err
	default:
		return fmt.Errorf("a projection of a kind that is not known here")
	}
}

// take adds the keys of a ConfigMap or Secret, all or those that the items name.
func take(files map[string]file, data map[string]string, err error, items []corev1.KeyToPath, mode *int32, optional *bool) error {
	if err != nil {
		return err
	}
	if len(items) == 0 {
		for k, d := range data {
			files[k] = file{d, permissions(nil, mode)}
		}
		return nil
	}
	for _, i := range items {
		d, ok := data[i.Key]
		switch {
		case ok:
			files[i.Path] = file{d, permissions(i.Mode, mode)}
		case optional == nil || !*optional:
			return fmt.Errorf("references non-existent key: %s", i.Key)
		}
	}
	return nil
}

func (v *volumes) fields(files map[string]file, items []corev1.DownwardAPIVolumeFile, mode *int32) error {
	for _, i := range items {
		if i.FieldRef == nil {
			return fmt.Errorf("%s: only fields are known here", i.Path)
		}
		value, err := v.pod.field(i.FieldRef.FieldPath)
		if err != nil {
			return err
		}
		files[i.Path] = file{value, permissions(i.Mode, mode)}
	}
	return nil
}

// token asks the API server for one that is bound to the pod.
func (v *volumes) token(want *corev1.ServiceAccountTokenProjection) (string, error) {
	if t, ok := v.tokens[want.Audience]; ok {
		return t, nil
	}
	o := v.pod.object
	request := m{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": m{
		"expirationSeconds": want.ExpirationSeconds,
		"boundObjectRef":    m{"apiVersion": "v1", "kind": "Pod", "name": o.Name, "uid": o.UID},
	}}
	if want.Audience != "" {
		request["spec"].(m)["audiences"] = []string{want.Audience}
	}
	var answer struct{ Status struct{ Token string } }
	url := "/api/v1/namespaces/" + o.Namespace + "/serviceaccounts/" + o.Spec.ServiceAccountName + "/token"
	if err := v.pod.k.cluster.Do(context.Background(), http.MethodPost, url, request, &answer); err != nil {
		return "", err
	}
	v.tokens[want.Audience] = answer.Status.Token
	return answer.Status.Token, nil
}

func permissions(own, otherwise *int32) os.FileMode {
	for _, mode := range []*int32{own, otherwise} {
		if mode != nil {
			return os.FileMode(*mode).Perm()
		}
	}
	return 0o644
}

// mounts are what the container mounts, and the files that every container has.
func (v *volumes) mounts(c *container) (mounts []mount, err error) {
	env, err := c.environment(nil) // subPathExpr may name any of it
	if err != nil {
		return nil, err
	}
	for _, own := range c.spec.VolumeMounts {
		source, sub := v.dir(own.Name), own.SubPath
		if own.SubPathExpr != "" {
			sub = env.expand(own.SubPathExpr)
		}
		if sub != "" {
			if source, err = filepath.EvalSymlinks(filepath.Join(source, sub)); err != nil {
				return nil, fmt.Errorf("the subPath of the volume %s: %w", own.Name, err)
			}
			if !strings.HasPrefix(source, v.dir(own.Name)+"/") {
				return nil, fmt.Errorf("the subPath of the volume %s leads out of it", own.Name)
			}
		}
		mounts = append(mounts, mount{Source: source, Target: path.Clean("/" + own.MountPath), ReadOnly: own.ReadOnly || v.fixed(own.Name)})
	}
	return append(mounts, mount{Source: v.pod.proxy.hosts, Target: "/etc/hosts"}, mount{Source: v.pod.proxy.resolver, Target: "/etc/resolv.conf"}), nil
}

// fixed says whether containers cannot write to a volume, whatever they mount it as.
func (v *volumes) fixed(name string) bool {
	for _, volume := range v.pod.object.Spec.Volumes {
		if volume.Name == name {
			return volume.EmptyDir == nil
		}
	}
	return false
}
