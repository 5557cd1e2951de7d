# syntax=docker/dockerfile:1

# The program, compiled. Nothing that is installed here is in the image.
FROM node:24-bookworm AS build
WORKDIR /sluice
COPY package.json package-lock.json ./
# The compiler is JavaScript: nothing is to be built, nor fetched besides.
RUN npm ci --ignore-scripts
COPY tsconfig.json ormconfig.ts ./
COPY src src
COPY sandbox sandbox
COPY scripts scripts
RUN npm run build

# What it needs at run time. SQLite's driver is built from source where no binary can be had; this image has the tools.
FROM node:24-bookworm AS dependencies
WORKDIR /sluice
COPY package.json package-lock.json ./
RUN npm ci --omit=dev

# The same Debian as above, or the driver would not find its libraries.
FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=4000
WORKDIR /sluice
COPY --from=dependencies /sluice/node_modules node_modules
COPY --from=build /sluice/dist dist
COPY package.json ./
# With SQLite the database is here; with Postgres, what large runs sort on the disk.
RUN mkdir data && chown node:node data && chmod 700 data
VOLUME /sluice/data
USER node
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/readyz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# The flags of `npm start`, which cannot be used: npm would stand between the signals and the server.
CMD ["node", "--max-semi-space-size=16", "--heap-growing-percent=80", "dist/src/main.js"]
