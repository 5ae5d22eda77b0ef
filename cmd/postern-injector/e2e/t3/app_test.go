package t3

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The test binary is also the program of the pods: POSTERN_TEST_APP says which.
func app() {
	apps := map[string]func() error{"web": web, "work": work}
	run, ok := apps[os.Getenv("POSTERN_TEST_APP")]
	if !ok {
		return
	}
	log.SetFlags(log.Ltime | log.Lmicroseconds | log.LUTC)
	if err := run(); err != nil {
		log.Print(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// web shows what it is told, and calls another API in the two ways that it has. It ends in order on SIGTERM.
func web() error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hostname: %s\n%s %s\n", os.Getenv("HOSTNAME"), r.Method, r.RequestURI)
		for _, name := range slices.Sorted(maps.Keys(r.Header)) {
			for _, value := range r.Header[name] {
				fmt.Fprintf(w, "%s: %s\n", name, value)
			}
		}
	})
	mux.HandleFunc("GET /slow/{time}", func(w http.ResponseWriter, r *http.Request) {
		d, err := time.ParseDuration(r.PathValue("time"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		log.Print("slow: begun")
		time.Sleep(d)
		log.Print("slow: done")
		fmt.Fprint(w, "slow and done")
	})
	mux.HandleFunc("GET /exchange/{target}", func(w http.ResponseWriter, r *http.Request) {
		user := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if other := r.URL.Query().Get("user"); other != "" {
			user = other
		}
		token, err := ask(ctx, "NAIS_TOKEN_EXCHANGE_ENDPOINT", url.Values{"identity_provider": {"tokenx"}, "target": {r.PathValue("target")}, "user_token": {user}})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		relay(w, r, os.Getenv("ORDERS_URL")+"/by-exchange", "Bearer "+token)
	})
	mux.HandleFunc("GET /egress/{rest...}", func(w http.ResponseWriter, r *http.Request) {
		relay(w, r, os.Getenv("POSTERN_EGRESS_URL")+"/"+r.PathValue("rest"), r.Header.Get("Authorization"))
	})
	server := &http.Server{Addr: os.Getenv("ADDRESS"), Handler: mux, ReadHeaderTimeout: time.Minute}
	if server.Addr == "" {
		server.Addr = ":8080"
	}
	done := make(chan error, 1)
	go func() { done <- server.ListenAndServe() }()
	log.Print("app: serving at ", server.Addr)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	log.Print("app: asked to end")
	if os.Getenv("DEAF") != "" {
		time.Sleep(time.Hour)
	}
	err := server.Shutdown(context.Background())
	log.Print("app: ended")
	return err
}

// relay asks another API and answers what it answers.
func relay(w http.ResponseWriter, r *http.Request, to, authorization string) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, to, nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	req.Header.Set("Authorization", authorization)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// ask gets a token at one of the addresses that the sidecar gave to the app.
func ask(ctx context.Context, endpoint string, form url.Values) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv(endpoint), strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || resp.StatusCode != http.StatusOK || answer.Token == "" {
		return "", fmt.Errorf("%s: status %d %s", endpoint, resp.StatusCode, text)
	}
	return answer.Token, nil
}

// work is the program of a job, or of its init container: it needs a token of Maskinporten, or it fails. FAIL_ONCE names a file of the pod that
// says whether it has failed before.
func work() error {
	token, err := ask(context.Background(), "NAIS_TOKEN_ENDPOINT", url.Values{"identity_provider": {"maskinporten"}, "target": {"nav:team/orders.read"}})
	if err != nil {
		return err
	}
	log.Printf("%s: has a token of %d parts from Maskinporten", os.Getenv("ROLE"), len(strings.Split(token, "."))) // #nosec G706 -- of the test
	if file := os.Getenv("FAIL_ONCE"); file != "" {
		if _, err := os.Stat(file); err != nil {
			return cmp.Or(os.WriteFile(file, nil, 0o600), fmt.Errorf("%s: fails the first time", os.Getenv("ROLE")))
		}
	}
	log.Printf("%s: done", os.Getenv("ROLE")) // #nosec G706 -- of the test
	return nil
}
