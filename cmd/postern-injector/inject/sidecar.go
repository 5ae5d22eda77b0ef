package inject

import (
	"path"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	user          = 65532 // of the image: nobody in particular
	volumePolicy  = "postern-policy"
	volumeNoToken = "postern-no-token"
	accountMount  = "/var/run/secrets/kubernetes.io/serviceaccount" // where the API server would mount the token of the service account
)

// sidecar is what the pod gets. Everything that the API server would default is said, so that it can be compared later.
type sidecar struct {
	container corev1.Container
	volumes   []corev1.Volume
	app       []variable // for the other containers
}

func (i *injection) makeSidecar() sidecar {
	vars, resources := i.environment(), i.resources()
	i.checkConfiguration(vars)
	env := []corev1.EnvVar{fromField("POD_IP", "status.podIP")}
	if i.app != 0 && !i.loopback() {
		env = append(env, fromField("POSTERN_UPSTREAM_IP", "status.podIP"))
	}
	env = append(env, containerEnvironment(vars)...)
	if limit := goMemoryLimit(resources); limit != "" {
		env = append(env, corev1.EnvVar{Name: goMemLimit, Value: limit})
	}
	mounts, volumes := i.volumes()
	c := corev1.Container{
		Name:                     Container,
		Image:                    i.image(),
		ImagePullPolicy:          i.settings.pullPolicy(),
		RestartPolicy:            pointer(corev1.ContainerRestartPolicyAlways),
		Ports:                    i.containerPorts(),
		Env:                      env,
		EnvFrom:                  i.secretSources(),
		Resources:                resources,
		VolumeMounts:             mounts,
		StartupProbe:             i.probe("/livez", 1, 1, 60),
		ReadinessProbe:           i.probe("/readyz", 5, 3, 2),
		LivenessProbe:            i.probe("/livez", 10, 5, 6),
		TerminationMessagePath:   corev1.TerminationMessagePathDefault,
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		SecurityContext:          restricted(),
	}
	return sidecar{container: c, volumes: volumes, app: i.appEnvironment()}
}

const goMemLimit = "GOMEMLIMIT"

func pointer[T any](v T) *T { return &v }

func fromField(name, field string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: field}}}
}

// restricted is what PodSecurity "restricted" asks for and more. The user is a number, and said here: the pod's might be 0.
func restricted() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		Privileged:               pointer(false),
		RunAsUser:                pointer[int64](user),
		RunAsGroup:               pointer[int64](user),
		RunAsNonRoot:             pointer(true),
		ReadOnlyRootFilesystem:   pointer(true),
		AllowPrivilegeEscalation: pointer(false),
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

// probe asks the sidecar's own listener. /livez says that the process works: the app starts, and nothing is restarted, whatever state identity
// providers are in. /readyz takes the pod out of service only before the first keys are there and while it stops (S-29).
func (i *injection) probe(path string, period, timeout, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(int32(i.ours.Probe)), Scheme: corev1.URISchemeHTTP}},
		PeriodSeconds:    period,
		TimeoutSeconds:   timeout,
		SuccessThreshold: 1,
		FailureThreshold: failures,
	}
}

// containerPorts are those that are reached from outside the pod.
func (i *injection) containerPorts() []corev1.ContainerPort {
	var out []corev1.ContainerPort
	add := func(name string, number int) {
		out = append(out, corev1.ContainerPort{Name: name, ContainerPort: int32(number), Protocol: corev1.ProtocolTCP})
	}
	if i.app != 0 {
		add(portNameProxy, i.ours.Proxy)
	}
	add(portNameMetrics, i.ours.Metrics)
	add(portNameProbe, i.ours.Probe)
	return out
}

// secretSources are not optional: a Secret that is missing is seen at the pod (CreateContainerConfigError), and heals when it comes.
func (i *injection) secretSources() []corev1.EnvFromSource {
	var out []corev1.EnvFromSource
	for _, name := range i.secrets {
		out = append(out, corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: name}, Optional: pointer(false),
		}})
	}
	return out
}

// volumes are the policy, and an empty directory where the API server would mount the token of the service account: the sidecar
// faces the world and never speaks to the API server.
func (i *injection) volumes() (mounts []corev1.VolumeMount, volumes []corev1.Volume) {
	const readable = 0o444
	add := func(name, at string, source corev1.VolumeSource) {
		mounts = append(mounts, corev1.VolumeMount{Name: name, MountPath: at, ReadOnly: true})
		volumes = append(volumes, corev1.Volume{Name: name, VolumeSource: source})
	}
	if name, key := i.policy(); name != "" {
		add(volumePolicy, policyDirectory, corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: name},
			Items:                []corev1.KeyToPath{{Key: key, Path: key}},
			DefaultMode:          pointer[int32](readable), Optional: pointer(false),
		}})
	}
	if mount := i.pod.Spec.AutomountServiceAccountToken; mount == nil || *mount {
		add(volumeNoToken, accountMount, corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{DefaultMode: pointer[int32](readable)}})
	}
	return mounts, volumes
}

// byDigest is a name with the digest of its content: what runs is what was allowed.
var byDigest = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,400}@sha256:[0-9a-f]{64}$`)

// image is the settings', or another one that they allow.
func (i *injection) image() string {
	text := i.said.text(keyImage)
	if text == "" {
		return i.settings.Image
	}
	where := i.said.where(keyImage)
	if !byDigest.MatchString(text) {
		i.problem(codeImage, "%s: %s is not of the form NAME@sha256:DIGEST", where, shown(text))
		return ""
	}
	if text == i.settings.Image {
		return text
	}
	for _, pattern := range i.settings.AllowedImages {
		if fits, err := path.Match(pattern, text); err == nil && fits {
			return text
		}
	}
	i.problem(codeImage, "%s: %s is not allowed by the injector's settings", where, shown(text))
	return ""
}
