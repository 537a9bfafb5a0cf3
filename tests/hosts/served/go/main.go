// The same service in Go: it knows nothing of a lifecycle, and nothing of ours runs in it.
//
// With GRACEFUL it stops as the documentation of net/http shows; without, it dies of its signal.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func answer(w http.ResponseWriter, request *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	switch request.URL.Path {
	case "/stream":
		for range [10]struct{}{} {
			w.Write([]byte(strings.Repeat("x", 100)))
			w.(http.Flusher).Flush()
			time.Sleep(100 * time.Millisecond)
		}
		return
	case "/slow":
		time.Sleep(2 * time.Second)
	default:
		time.Sleep(50 * time.Millisecond)
	}
	w.Write([]byte("hello"))
}

func main() {
	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: http.HandlerFunc(answer)}
	if os.Getenv("GRACEFUL") == "" {
		log.Fatal(server.ListenAndServe())
	}
	told, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	<-told.Done()
	within, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := server.Shutdown(within); err != nil {
		log.Fatal(err)
	}
}
