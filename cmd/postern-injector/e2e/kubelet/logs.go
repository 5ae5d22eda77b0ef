package kubelet

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// logOptions are the PodLogOptions that the API server hands on.
type logOptions struct {
	follow, previous, timestamps bool
	tail                         int   // lines; negative: all
	limit                        int64 // bytes; negative: all
	since                        time.Time
}

func parseLogOptions(query url.Values, now time.Time) (o logOptions, err error) {
	o = logOptions{tail: -1, limit: -1}
	number := func(name string, to *int64) {
		if text := query.Get(name); text != "" && err == nil {
			if *to, err = strconv.ParseInt(text, 10, 64); err == nil && *to < 0 {
				err = fmt.Errorf("%s: %s is negative", name, text)
			}
		}
	}
	flag := func(name string, to *bool) {
		if text := query.Get(name); text != "" && err == nil {
			*to, err = strconv.ParseBool(text)
		}
	}
	flag("follow", &o.follow)
	flag("previous", &o.previous)
	flag("timestamps", &o.timestamps)
	tail, seconds := int64(-1), int64(-1)
	number("tailLines", &tail)
	number("limitBytes", &o.limit)
	number("sinceSeconds", &seconds)
	o.tail = int(tail)
	if seconds >= 0 {
		o.since = now.Add(-time.Duration(seconds) * time.Second)
	}
	if text := query.Get("sinceTime"); text != "" && err == nil {
		o.since, err = time.Parse(time.RFC3339, text)
	}
	return o, err
}

// serveLogs answers GET /containerLogs/NAMESPACE/POD/CONTAINER as a kubelet does.
func (k *Kubelet) serveLogs(w http.ResponseWriter, r *http.Request) {
	o, err := parseLogOptions(r.URL.Query(), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	pod, name := r.PathValue("pod"), r.PathValue("container")
	c, err := k.container(r.PathValue("namespace"), pod, name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	said := c.output(o.previous)
	switch {
	case said == nil && o.previous:
		http.Error(w, fmt.Sprintf("previous terminated container %q in pod %q not found", name, pod), http.StatusBadRequest)
		return
	case said == nil:
		http.Error(w, fmt.Sprintf("container %q in pod %q is waiting to start", name, pod), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	o.write(w, r, said)
}

// write sends what the options ask for, and with follow what comes later, until the container has ended or nobody listens.
func (o *logOptions) write(w http.ResponseWriter, r *http.Request, said *output) {
	left := o.limit
	send := func(l line) bool {
		text := l.text
		if l.at.Before(o.since) {
			return true
		}
		if o.timestamps {
			text = l.at.UTC().Format(time.RFC3339Nano) + " " + text
		}
		if o.limit >= 0 {
			text = text[:min(int64(len(text)), left)]
			left -= int64(len(text))
		}
		_, err := w.Write([]byte(text))
		return err == nil && left != 0
	}
	lines, ended, news := said.after(0)
	next := len(lines)
	if o.tail >= 0 {
		lines = lines[max(0, len(lines)-o.tail):]
	}
	for {
		for _, l := range lines {
			if !send(l) {
				return
			}
		}
		if !o.follow || ended || http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-news:
		}
		lines, ended, news = said.after(next)
		next += len(lines)
	}
}
