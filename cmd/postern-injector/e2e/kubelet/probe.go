package kubelet

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	// eagerness is how often a probe is asked that has not succeeded yet; its failures count once a period all the same.
	eagerness = 100 * time.Millisecond
	// patience is the least that a probe waits for its answer: one second, the default, is too little on a machine that runs many tests.
	patience = 5 * time.Second
)

// probe follows the three probes of a process until it ends, or until the returned function is called.
func (c *container) probe(p *process) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if !c.startup(ctx, p) {
			return
		}
		c.change(func(s *corev1.ContainerStatus) { *s.Started = true })
		c.once.Do(func() { close(c.started) })
		if c.spec.LivenessProbe != nil {
			go c.liveness(ctx, p)
		}
		c.readiness(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// startup waits for the startup probe, and restarts the container if it fails too often.
func (c *container) startup(ctx context.Context, p *process) bool {
	probe := c.spec.StartupProbe
	if probe == nil {
		return true
	}
	if !pause(ctx, seconds(probe.InitialDelaySeconds)) {
		return false
	}
	failures, counted, said := int32(0), time.Now(), ""
	for {
		err := c.ask(ctx, probe)
		if err == nil {
			return true
		}
		if now := time.Now(); now.Sub(counted) >= seconds(probe.PeriodSeconds) {
			failures, counted = failures+1, now
		}
		if text := err.Error(); text != said && ctx.Err() == nil {
			said = text
			c.record(Unwell, "startup, not yet: "+text)
		}
		if failures >= probe.FailureThreshold && ctx.Err() == nil {
			c.unwell(p, "startup", err)
			return false
		}
		if !pause(ctx, eagerness) {
			return false
		}
	}
}

// readiness says in the status whether the container is ready.
func (c *container) readiness(ctx context.Context) {
	probe := c.spec.ReadinessProbe
	if probe == nil {
		if ctx.Err() == nil {
			c.ready(true)
		}
		return
	}
	if !pause(ctx, seconds(probe.InitialDelaySeconds)) {
		return
	}
	var successes, failures int32
	ready := false
	for {
		err := c.ask(ctx, probe)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			successes, failures = successes+1, 0
		default:
			successes, failures = 0, failures+1
		}
		if !ready && successes >= probe.SuccessThreshold || ready && failures >= probe.FailureThreshold {
			ready = !ready
			c.ready(ready)
		}
		wait := seconds(probe.PeriodSeconds)
		if !ready {
			wait = min(wait, eagerness)
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// liveness restarts the container when its probe fails too often. It stops when the container is to end anyway.
func (c *container) liveness(ctx context.Context, p *process) {
	probe := c.spec.LivenessProbe
	if !pause(ctx, seconds(probe.InitialDelaySeconds)) {
		return
	}
	for failures := int32(0); ; {
		err := c.ask(ctx, probe)
		if c.ctx.Err() != nil || ctx.Err() != nil {
			return
		}
		failures++
		if err == nil {
			failures = 0
		}
		if failures >= probe.FailureThreshold {
			c.unwell(p, "liveness", err)
			return
		}
		if !pause(ctx, seconds(probe.PeriodSeconds)) {
			return
		}
	}
}

func (c *container) unwell(p *process, probe string, err error) {
	c.record(Unwell, probe+": "+err.Error())
	go c.endProcess(p, time.Now().Add(c.pod.grace(c.pod.object)), nil)
}

func (c *container) ready(is bool) {
	kind := Unready
	if is {
		kind = Ready
	}
	c.record(kind, "")
	c.change(func(s *corev1.ContainerStatus) { s.Ready = is })
}

// ask is one question of a probe.
func (c *container) ask(ctx context.Context, probe *corev1.Probe) error {
	ctx, cancel := context.WithTimeout(ctx, max(seconds(probe.TimeoutSeconds), patience))
	defer cancel()
	switch h := probe.ProbeHandler; {
	case h.HTTPGet != nil:
		return c.httpGet(ctx, h.HTTPGet)
	case h.TCPSocket != nil:
		port, err := c.port(h.TCPSocket.Port)
		if err != nil {
			return err
		}
		conn, err := c.pod.dial(ctx, port)
		if err == nil {
			conn.Close()
		}
		return err
	case h.Exec != nil:
		_, err := c.exec(ctx, h.Exec.Command)
		return err
	default:
		return fmt.Errorf("a probe of a kind that is not known here: %v", h)
	}
}

// httpGet asks the pod at its address, from outside as it were: what listens on 127.0.0.1 alone is not reached.
func (c *container) httpGet(ctx context.Context, get *corev1.HTTPGetAction) error {
	port, err := c.port(get.Port)
	if err != nil {
		return err
	}
	path, err := url.Parse(get.Path)
	if err != nil {
		return err
	}
	path.Scheme, path.Host = strings.ToLower(string(get.Scheme)), net.JoinHostPort(c.pod.ip, strconv.Itoa(port))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, path.String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "kube-probe/1.36")
	for _, h := range get.HTTPHeaders {
		req.Header.Add(h.Name, h.Value)
		if strings.EqualFold(h.Name, "Host") {
			req.Host = h.Value
		}
	}
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // #nosec G402 -- as a kubelet does
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.pod.dial(ctx, port) },
		},
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if resp.StatusCode >= 200 && resp.StatusCode < 400 {
		return err
	}
	return fmt.Errorf("HTTP probe failed with statuscode: %d: %s", resp.StatusCode, text)
}

// port finds a port by its number or by its name among the container's own.
func (c *container) port(p intstr.IntOrString) (int, error) {
	if p.Type == intstr.Int {
		return p.IntValue(), nil
	}
	for _, own := range c.spec.Ports {
		if own.Name == p.StrVal {
			return int(own.ContainerPort), nil
		}
	}
	return 0, fmt.Errorf("the container %s has no port named %q", c.spec.Name, p.StrVal)
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }
