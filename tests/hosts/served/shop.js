// The same service in Node: it knows nothing of a lifecycle, and nothing of ours runs in it.

const PIECES = { "/stream": 10 }

function stream(response, left) {
    if (!left) return response.end()
    response.write("x".repeat(100))
    setTimeout(stream, 100, response, left - 1)
}

require("http").createServer((request, response) => {
    response.setHeader("Content-Type", "text/plain")
    if (request.url in PIECES) return stream(response, PIECES[request.url])
    setTimeout(() => response.end("hello"), request.url == "/slow" ? 2000 : 50)
}).listen(process.env.PORT, "127.0.0.1")
