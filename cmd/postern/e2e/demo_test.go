package e2e

import (
	"context"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// demoPorts is how many neighbouring ports a demo takes.
const demoPorts = 12

// neighbouringPorts is the first of so many neighbouring ports that nobody listens on, below those of [FreePort]. No other call gives out
// the eight ports before them.
func neighbouringPorts(t testing.TB) int {
	t.Helper()
	for range 100 {
		one, err := strconv.Atoi(FreePort(t))
		if err != nil {
			t.Fatal(err)
		}
		first, free := 10010+(one-firstPort)%490*20, 0
		for ; free < demoPorts; free++ {
			l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:"+strconv.Itoa(first+free))
			if err != nil {
				break
			}
			l.Close()
		}
		if free == demoPorts {
			return first
		}
	}
	t.Fatalf("no %d free ports in a row", demoPorts)
	return 0
}

// runDemo starts `postern demo` and returns the address of its front door when it answers.
func runDemo(t testing.TB) (p *Process, port int, front string) {
	t.Helper()
	port = neighbouringPorts(t)
	p = Launch(t, nil, "demo", "--port", strconv.Itoa(port))
	front = "http://localhost:" + strconv.Itoa(port)
	p.WaitURL(t, front+"/")
	p.WaitURL(t, "http://localhost:"+strconv.Itoa(port+4)+"/readyz")
	p.WaitURL(t, "http://localhost:"+strconv.Itoa(port+8)+"/readyz")
	t.Cleanup(func() {
		if !p.ended {
			p.Stop(t)
		}
	})
	return p, port, front
}

// What the demo invites everybody to try, tried.
func TestDemo(t *testing.T) {
	t.Parallel()
	_, port, front := runDemo(t)
	tab := Browser(t)
	if status := tab.Navigate(front + "/"); status != http.StatusOK || tab.Text("h1") != "Hello, whoever you are" {
		t.Fatalf("front page: status %d, %q", status, tab.Text("h1"))
	}
	tab.Wait("#forge")
	tab.Click("#forge")
	tab.waitText("#forge-result", "Arrived: nobody.")
	tab.look("demo-signed-out")

	tab.Press(".hero .button")
	if !strings.HasPrefix(tab.URL(), "http://localhost:"+strconv.Itoa(port+1)+"/") {
		t.Fatalf("the login is at %s", tab.URL())
	}
	tab.look("demo-login")
	tab.as("kari")
	if got := tab.URL(); got != front+"/" {
		t.Errorf("after the login: %s", got)
	}
	if got := tab.Text("h1"); got != "Hello, Kari Saksbehandler" {
		t.Errorf("heading %q", got)
	}
	tab.sees("headers-title", "X-Postern-User", kari)
	tab.sees("headers-title", "X-Postern-Name", "Kari Saksbehandler")
	tab.sees("headers-title", "X-Postern-Auth", "session")
	tab.Click("[aria-labelledby=claims-title] summary")
	tab.Wait("[aria-labelledby=claims-title] table")
	tab.sees("claims-title", "NAVident", kari)
	tab.sees("claims-title", "tid", devTenant)

	tab.waitText("#clock-session + .time", ":")
	before := tab.Text("[data-clock=session]")
	Eventually(t, "the countdown counts", func() error {
		if now := tab.Text("[data-clock=session]"); now == before || !strings.Contains(now, ":") {
			return errorf("%q", now)
		}
		return nil
	})
	tab.Click("#refresh")
	tab.waitText("#session-status", "enewed") // or "Just renewed", so soon after the login
	tab.Click("#forge")
	tab.waitText("#forge-result", "Sent: mallory. Arrived: "+kari+".")
	tab.waitText("#stream", "event 2")
	tab.Click("#echo button")
	tab.waitText("#echo-result", "It came back: Hello, gate")
	tab.look("demo-signed-in")

	tab.Press(".hero .button")
	if got := tab.Text("main"); !strings.Contains(got, "signed in") {
		t.Error("the provider does not show who is signed in")
	}
	tab.as("ola")
	tab.sees("headers-title", "X-Postern-User", "Z990002")
	tab.Navigate(front + "/cases/42?tab=notes&x=a%2Fb")
	if got := tab.Text(".address"); got != "/cases/42?tab=notes&x=a%2Fb" {
		t.Errorf("deep link: %q", got)
	}
	tab.Press("nav[aria-label=Account] .quiet")
	if got := tab.URL(); got != front+"/" || tab.Text("h1") != "Hello, whoever you are" {
		t.Errorf("after the logout: %q at %s", tab.Text("h1"), got)
	}

	tab.Press(".hero .quiet") // the deep link, without a login
	tab.as("bjorn")
	if got := tab.URL(); got != front+"/cases/42?tab=notes&x=a%2Fb" {
		t.Errorf("the deep link did not survive the login: %s", got)
	}
	tab.sees("headers-title", "X-Postern-Name", "Bjørn Æsøy, Borger")
	tab.look("demo-deep-link")
	status := tab.Navigate(front + "/nothing-here")
	if status != http.StatusNotFound {
		t.Errorf("a page that is not there: status %d", status)
	}
	tab.look("demo-not-found")
	if trouble := strings.Join(tab.Console(), "\n"); strings.Contains(trouble, "exception") || strings.Contains(trouble, "Content Security Policy") {
		t.Errorf("console: %s", trouble)
	}
}

// sees fails the test unless a table of the demo has this value in the row of this name.
func (b *Tab) sees(panel, name, value string) {
	b.t.Helper()
	row := `[...document.querySelectorAll("[aria-labelledby=` + panel + `] tbody tr")]
		.filter(r => r.querySelector("th code").textContent === "` + name + `").map(r => r.querySelector(".value").textContent).join("|")`
	if got := Eval[string](b, row); got != value {
		b.t.Errorf("%s: %s is %q, want %q", panel, name, got, value)
	}
}

// waitText returns when the element's text contains what is wanted.
func (b *Tab) waitText(selector, want string) {
	b.t.Helper()
	Eventually(b.t, "text of "+selector, func() error {
		got := Eval[string](b, `document.querySelector("`+selector+`").textContent`)
		if !strings.Contains(got, want) {
			return errorf("%q, want %q", got, want)
		}
		return nil
	})
}

// The demo for people without a browser: what it prints, and what the addresses that it prints answer.
func TestDemoTellsWhatToTry(t *testing.T) {
	t.Parallel()
	p, port, front := runDemo(t)
	text := p.Log.Text()
	for _, want := range []string{
		front + "/", front + "/cases/42?tab=notes", "http://localhost:" + strconv.Itoa(port+1) + "/",
		"http://localhost:" + strconv.Itoa(port+3) + "/metrics", "http://localhost:" + strconv.Itoa(port+4) + "/readyz",
		"http://localhost:" + strconv.Itoa(port+7) + "/metrics", "http://localhost:" + strconv.Itoa(port+8) + "/readyz", front + "/try", front + "/onbehalf",
		"http://localhost:" + strconv.Itoa(port+9) + "/openapi.json", "Ctrl-C",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not print %q:\n%s", want, text)
			continue
		}
		if strings.HasPrefix(want, "http") {
			if r := NewClient(t).Navigate(want); r.StatusCode >= 400 {
				t.Errorf("GET %s: status %d", want, r.StatusCode)
			}
		}
	}
	if p.Log.Stderr() != "" || strings.Contains(text, "WARN") {
		t.Errorf("it begins with trouble:\n%s", p.Log.Text())
	}
}

// A second demo on the same ports, or one whose provider's port is taken, says which port it is and how to choose others.
func TestDemoOnTakenPorts(t *testing.T) {
	t.Parallel()
	_, port, _ := runDemo(t)
	for name, first := range map[string]int{"all of them": port, "some of them": port - 2} {
		second := Launch(t, nil, "demo", "--port", strconv.Itoa(first))
		if code := second.Wait(t); code != 1 {
			t.Errorf("%s: exit code %d, want 1", name, code)
		}
		said := second.Log.Stderr()
		m := regexp.MustCompile(`^postern demo: port (\d+) is taken; --port moves all twelve ports, e\.g\. --port (\d+)\n$`).FindStringSubmatch(said)
		if m == nil {
			t.Errorf("%s: it says %q", name, said)
			continue
		}
		if taken, err := strconv.Atoi(m[1]); err != nil || taken < port || taken >= port+demoPorts {
			t.Errorf("%s: it names port %s, and those from %d to %d are taken", name, m[1], port, port+demoPorts-1)
		}
	}
}

// Ctrl-C ends the demo cleanly and soon, also with a browser in it: its event stream and WebSocket are open connections.
func TestDemoStopsOnInterrupt(t *testing.T) {
	t.Parallel()
	for name, visit := range map[string]func(t *testing.T, front string){
		"idle": func(*testing.T, string) {},
		"with a browser in it": func(t *testing.T, front string) {
			tab := Browser(t)
			tab.Navigate(front + "/")
			tab.waitText("#stream", "event")
			tab.Click("#echo button")
			tab.waitText("#echo-result", "It came back")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, port, front := runDemo(t)
			visit(t, front)
			p.ended = true
			p.signal(os.Interrupt)
			if code := p.wait(t, 3*time.Second); code != 0 {
				t.Errorf("exit code %d after an interrupt", code)
			}
			if !strings.HasSuffix(p.Log.Text(), "\nStopped.\n") || p.Log.Stderr() != "" {
				t.Errorf("its last words: %q", p.Log.Text())
			}
			if code := Launch(t, nil, "demo", "--port", strconv.Itoa(port), "--nonsense").Wait(t); code != 2 {
				t.Errorf("an unknown flag: exit code %d, want 2", code)
			}
			again := Launch(t, nil, "demo", "--port", strconv.Itoa(port))
			again.WaitURL(t, front+"/") // every port is free again
			again.Stop(t)
		})
	}
}
