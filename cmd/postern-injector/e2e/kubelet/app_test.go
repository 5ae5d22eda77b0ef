package kubelet_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// The test binary is also the program of the pods: POSTERN_TEST_APP says which.
func app() {
	apps := map[string]func(){"web": web, "work": work}
	if run, ok := apps[os.Getenv("POSTERN_TEST_APP")]; ok {
		run()
		os.Exit(0)
	}
}

// web serves what a test wants to know about the inside of its container. It ends in order on SIGTERM.
func web() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	broken := false
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s for %s", os.Getenv("POD_NAME"), strings.Split(r.RemoteAddr, ":")[0])
	})
	mux.HandleFunc("GET /env/{name}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, os.Getenv(r.PathValue("name"))) })
	mux.HandleFunc("GET /file/{path...}", func(w http.ResponseWriter, r *http.Request) {
		text, err := os.ReadFile("/" + r.PathValue("path"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		w.Write(text)
	})
	mux.HandleFunc("POST /file/{path...}", func(w http.ResponseWriter, r *http.Request) {
		if err := os.WriteFile("/"+r.PathValue("path"), []byte("x"), 0o600); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
		}
	})
	mux.HandleFunc("GET /via/{host}", func(w http.ResponseWriter, r *http.Request) {
		resp, err := http.Get("http://" + r.PathValue("host") + "/")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		fmt.Fprintf(w, "status %d", resp.StatusCode)
	})
	mux.HandleFunc("POST /break", func(http.ResponseWriter, *http.Request) { broken = true })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if broken {
			http.Error(w, "broken", http.StatusInternalServerError)
		}
	})
	address := os.Getenv("ADDRESS")
	if address == "" {
		address = ":8080"
	}
	server := &http.Server{Addr: address, Handler: mux}
	go func() {
		<-ctx.Done()
		fmt.Println("asked to end")
		limit, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(limit)
	}()
	fmt.Println("listening on", address)
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Println(err)
		os.Exit(1)
	}
	time.Sleep(300 * time.Millisecond) // long enough for an order to be seen
}

// work asks the sidecar of its pod, as a Job might fetch a token, and is done.
func work() {
	resp, err := http.Get("http://127.0.0.1:8080/")
	if err != nil || resp.StatusCode != http.StatusOK {
		fmt.Println("the sidecar does not answer:", err)
		os.Exit(1)
	}
	fmt.Println("done")
}
